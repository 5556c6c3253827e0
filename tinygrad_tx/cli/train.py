"""tinygrad-tx train: the main job."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tinygrad_tx.cli.fine_tune import Start, after_training, check_text, start_from, with_parent
from tinygrad_tx.cli.load import model_of, tokenizer_of
from tinygrad_tx.cli.report import Material, Screen, record_of, write_report
from tinygrad_tx.data import (
    Tokenizer,
    Windows,
    bigram_loss,
    default_text,
    make_tokenizer,
    read_text,
    split,
)
from tinygrad_tx.errors import CheckpointError, DataError, explain
from tinygrad_tx.models import GPT, GPTConfig
from tinygrad_tx.train import RunFolder, TrainConfig, fit, source_name, write_record

__all__ = ["train"]

SIZES = {"layers": 4, "heads": 4, "width": 128, "context": 128, "batch": 16, "steps": 1800}
QUICK = {"layers": 2, "heads": 2, "width": 64, "context": 64, "batch": 8, "steps": 600}
RATE = 2e-3
FINE_TUNING_STEPS, FINE_TUNING_RATE = 600, 5e-4
"""Weights that have learnt move less, so that less of it is forgotten."""


def train(
    text: Annotated[Path | None, typer.Option(help="Your own text, UTF-8.")] = None,
    out: Annotated[Path, typer.Option(help="The run folder.")] = Path("runs/gpt"),
    start: Annotated[
        Path | None,
        typer.Option("--start-from", help="Fine-tune the model of this run folder."),
    ] = None,
    tokenizer: Annotated[str | None, typer.Option(help="char, byte or bpe.  [char]")] = None,
    vocab_size: Annotated[int | None, typer.Option(min=256, help="Units of bpe.  [512]")] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Training steps.  [1800; 600 with --start-from]")
    ] = None,
    layers: Annotated[int | None, typer.Option(min=1, help="Blocks.  [4]")] = None,
    heads: Annotated[int | None, typer.Option(min=1, help="Attention heads.  [4]")] = None,
    width: Annotated[int | None, typer.Option(min=1, help="Residual stream.  [128]")] = None,
    context: Annotated[int | None, typer.Option(min=1, help="Tokens seen.  [128]")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Windows a step.  [16]")] = None,
    dropout: Annotated[
        float | None, typer.Option(min=0.0, max=0.99, help="For small texts.  [0]")
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(min=0.0, help="At its peak.  [0.002; 0.0005 with --start-from]"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Weights, batches and samples.")] = 0,
    on_bad: Annotated[
        str, typer.Option(help="What a NaN or a leap of the loss leads to: stop, skip, rollback.")
    ] = "stop",
    spike: Annotated[
        float, typer.Option(min=0, help="A loss above so many times the usual is bad; 0: never.")
    ] = 0.0,
    quick: Annotated[bool, typer.Option("--quick", help="A small model, some seconds.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the folder --out.")] = False,
) -> None:
    """Trains a GPT on text: the English reference inside Python, or your own.

    Leaves the folder --out: configuration, checkpoint, metrics, record, pictures, summary.
    Example: tinygrad-tx train --text novel.txt --out runs/novel
    Fine-tuning: tinygrad-tx train --start-from runs/novel --text letters.txt --out runs/letters
    """
    run = RunFolder(out)
    given = {"layers": layers, "heads": heads, "width": width, "context": context}
    if resume:
        if start is not None:
            remedy = "leave one out: a run goes on from its own checkpoint"
            raise DataError(explain("--start-from", "does not go with --resume", remedy=remedy))
        settings = run.read_config()
        text = Path(settings["text"]) if settings.get("text") else None
        _work(run, settings, tokenizer_of(run), read_text(text) if text else default_text())
        return
    if run.checkpoint.exists():
        what = "already holds a checkpoint"
        remedy = "go on from it with --resume, or choose another --out"
        raise CheckpointError(explain(f"run folder {out}", what, remedy=remedy))
    corpus = read_text(text) if text else default_text()
    if start is None:
        units = make_tokenizer(tokenizer or "char", corpus, vocab_size or 512)
        sizes = SIZES | (QUICK if quick else {})
        parent = None
    else:
        asked = {**given, "tokenizer": tokenizer, "bpe units": vocab_size}
        parent = start_from(start, asked | ({k: QUICK[k] for k in given} if quick else {}))
        check_text(corpus, parent, source_name(str(text) if text else None))
        units = parent.units
        sizes = {**parent.settings["model"], "batch": parent.settings["training"]["batch"]}
        sizes["steps"] = FINE_TUNING_STEPS
        dropout = sizes["dropout"] if dropout is None else dropout
    if learning_rate is None:
        learning_rate = RATE if start is None else FINE_TUNING_RATE
    given |= {"batch": batch, "steps": steps}
    sizes |= {k: v for k, v in given.items() if v is not None}
    settings = _settings(sizes, units, text, learning_rate, dropout or 0.0, seed)
    settings["training"] |= {"on_bad": on_bad, "spike": spike}
    if parent is not None:
        settings["model"] = {**parent.settings["model"], "dropout": dropout}
    _work(run, settings, units, corpus, parent, resume=False)


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
    run: RunFolder,
    settings: dict[str, Any],
    units: Tokenizer,
    corpus: str,
    parent: Start | None = None,
    resume: bool = True,
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
    source = settings["text"] or "the language reference inside Python"
    material = Material(source, len(corpus), len(learnt), len(held), baseline)
    with run.held():
        if parent is not None:
            model.load_state_dict(parent.model.state_dict())
            settings = with_parent(run, settings, parent)
            screen.announce_parent(parent.folder.path, settings["parent"])
        if not resume:
            run.write(run.config, json.dumps(settings, indent=2) + "\n")
            run.write(run.tokenizer, units.to_json())
            run.metrics.unlink(missing_ok=True)
        screen.announce(model, config, units, material)
        on = (screen.on_step, screen.on_plan)
        with screen.training(config.steps):
            result = fit(model, batches, held_out, config, run, resume, *on)
    if result.recovered:
        screen.say(f"Went on from a little earlier: {result.recovered}")
    for step in result.passed_over:
        screen.say(f"Step {step['step']} failed ({step['policy']}): {step['reason']}")
    forgetting = after_training(settings, model, units)
    record = record_of(settings, model, material, result, forgetting)
    write_record(run, record)
    if result.interrupted:
        screen.say(
            f"Stopped after step {result.step}; all is saved. Go on with: "
            f"tinygrad-tx train --resume --out {run.path}"
        )
    write_report(screen, run, model, units, result, record, held_out)
