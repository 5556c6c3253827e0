"""tinygrad-tx train: the main job."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tinygrad_tx.cli.load import model_of, tokenizer_of
from tinygrad_tx.cli.report import Screen, write_report
from tinygrad_tx.data import (
    Tokenizer,
    Windows,
    bigram_loss,
    default_text,
    make_tokenizer,
    read_text,
    split,
)
from tinygrad_tx.errors import CheckpointError, explain
from tinygrad_tx.models import GPT, GPTConfig
from tinygrad_tx.train import RunFolder, TrainConfig, fit

__all__ = ["train"]

QUICK = {"layers": 2, "heads": 2, "width": 64, "context": 64, "batch": 8, "steps": 600}


def train(
    text: Annotated[Path | None, typer.Option(help="Your own text, UTF-8.")] = None,
    out: Annotated[Path, typer.Option(help="The run folder.")] = Path("runs/gpt"),
    tokenizer: Annotated[str, typer.Option(help="char, byte or bpe.")] = "char",
    vocab_size: Annotated[int, typer.Option(min=256, help="Units of bpe.")] = 512,
    steps: Annotated[int | None, typer.Option(min=1, help="Training steps.  [1800]")] = None,
    layers: Annotated[int | None, typer.Option(min=1, help="Blocks.  [4]")] = None,
    heads: Annotated[int | None, typer.Option(min=1, help="Attention heads.  [4]")] = None,
    width: Annotated[int | None, typer.Option(min=1, help="Residual stream.  [128]")] = None,
    context: Annotated[int | None, typer.Option(min=1, help="Tokens seen.  [128]")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Windows a step.  [16]")] = None,
    dropout: Annotated[float, typer.Option(min=0.0, max=0.99, help="For small texts.")] = 0.0,
    learning_rate: Annotated[float, typer.Option(min=0.0, help="At its peak.")] = 2e-3,
    seed: Annotated[int, typer.Option(help="Weights, batches and samples.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="A small model, some seconds.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the folder --out.")] = False,
) -> None:
    """Trains a GPT on text: the English reference inside Python, or your own.

    Leaves the folder --out: configuration, checkpoint, metrics, loss curve, diagram, summary.
    Example: tinygrad-tx train --text novel.txt --out runs/novel
    """
    run = RunFolder(out)
    if resume:
        settings = run.read_config()
        text = Path(settings["text"]) if settings.get("text") else None
        units: Tokenizer = tokenizer_of(run)
    elif run.checkpoint.exists():
        what = "already holds a checkpoint"
        remedy = "go on from it with --resume, or choose another --out"
        raise CheckpointError(explain(f"run folder {out}", what, remedy=remedy))
    corpus = read_text(text) if text else default_text()
    if not resume:
        units = make_tokenizer(tokenizer, corpus, vocab_size)
        given = {"layers": layers, "heads": heads, "width": width, "context": context}
        given |= {"batch": batch, "steps": steps}
        sizes = {"layers": 4, "heads": 4, "width": 128, "context": 128, "batch": 16, "steps": 1800}
        sizes |= (QUICK if quick else {}) | {k: v for k, v in given.items() if v is not None}
        settings = _settings(sizes, units, text, learning_rate, dropout, seed)
    _work(run, settings, units, corpus, resume)


def _settings(
    sizes: dict[str, int],
    units: Tokenizer,
    text: Path | None,
    learning_rate: float,
    dropout: float,
    seed: int,
) -> dict[str, Any]:
    model: dict[str, Any] = {k: sizes[k] for k in ("context", "layers", "heads", "width")}
    warmup = min(100, sizes["steps"] // 10)
    every = max(1, min(250, sizes["steps"] // 4))
    training = TrainConfig(
        steps=sizes["steps"],
        batch=sizes["batch"],
        learning_rate=learning_rate,
        warmup=warmup,
        validate_every=every,
        seed=seed,
    )
    return {
        "text": str(text.resolve()) if text else None,
        "model": dataclasses.asdict(GPTConfig(units.vocab_size, **model, dropout=dropout)),
        "training": dataclasses.asdict(training),
    }


def _work(
    run: RunFolder, settings: dict[str, Any], units: Tokenizer, corpus: str, resume: bool
) -> None:
    screen = Screen()
    model: GPT = model_of(settings, run)
    try:
        config = TrainConfig(**settings["training"])
    except (KeyError, TypeError) as error:
        raise CheckpointError(explain(str(run.config), f"is damaged: {error}")) from None
    learnt, held = split(units.encode(corpus))
    context = model.config.context
    batches = Windows(learnt, config.batch, context, config.seed)
    held_out = Windows(held, config.batch, context)
    baseline = bigram_loss(learnt, held, units.vocab_size)
    run.create()
    if not resume:
        run.write(run.config, json.dumps(settings, indent=2) + "\n")
        run.write(run.tokenizer, units.to_json())
        run.metrics.unlink(missing_ok=True)
    source = settings["text"] or "the language reference inside Python"
    screen.announce(model, config, units, source, len(learnt), len(held), baseline)
    with screen.training(config.steps):
        result = fit(model, batches, held_out, config, run, resume, screen.on_step, screen.on_plan)
    if result.interrupted:
        screen.say(
            f"Stopped after step {result.step}; all is saved. Go on with: "
            f"tinygrad-tx train --resume --out {run.path}"
        )
    write_report(screen, run, model, units, result, baseline, held_out)
