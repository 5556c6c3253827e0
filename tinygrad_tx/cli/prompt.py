"""tinygrad-tx prompt: the probabilities of words in a prompt, and comparisons of ways to prompt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tinygrad_tx.cli.completion import among
from tinygrad_tx.cli.load import with_tuned
from tinygrad_tx.cli.task_screen import run_task
from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.models import from_package, from_run
from tinygrad_tx.models.published.packages import PACKAGES
from tinygrad_tx.prompt import Template, Verbalizer, complete, score
from tinygrad_tx.prompt.experiments import EXPERIMENTS

__all__ = ["prompt"]

NAMES = ", ".join(EXPERIMENTS)


def prompt(
    target: Annotated[
        str,
        typer.Argument(
            help=f"A run folder, a package's model, or one of: {NAMES}.",
            autocompletion=among((*EXPERIMENTS, *PACKAGES)),
        ),
    ],
    template: Annotated[
        str | None, typer.Option(help="Text with slots and {mask} for the answer.")
    ] = None,
    label: Annotated[list[str] | None, typer.Option(help="LABEL=word,word for each label.")] = None,
    slot: Annotated[list[str] | None, typer.Option(help="NAME=text for each slot.")] = None,
    content_free: Annotated[
        str | None, typer.Option(help="Calibrate with this text in every slot.")
    ] = None,
    tokens: Annotated[int, typer.Option(min=1, help="New tokens, without --label.")] = 32,
    tuned: Annotated[
        Path | None,
        typer.Option(help="A soft prompt or prefix, as runs/prompts/prefix.safetensors."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder.  [runs/TARGET]")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small, some seconds, no figure.")] = False,
    seed: Annotated[int, typer.Option(help="Weights, batches, demonstrations.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the folder --out.")] = False,
    pretrained: Annotated[
        Path | None, typer.Option(help="A stage to start from, as runs/prompts/pretraining.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The outcome as JSON.")] = False,
) -> None:
    """Asks a model by a template: probabilities of the labels' words, or text without --label.

    compare sets ways to prompt and to train side by side, minutes on two cores; docstrings asks
    SmolLM2.

    \b
    Example:
      tinygrad-tx prompt smollm2 --template "{text} It was {mask}." \\
        --label positive=good,great --label negative=bad --slot "text=I would see it again."
    """
    if target in EXPERIMENTS:
        if template or label or slot or content_free or tuned:
            what = "an experiment takes no --template, --label, --slot, --content-free or --tuned"
            raise DataError(explain(f"prompt {target}", what))
        place = out or Path("runs") / target
        run_task(EXPERIMENTS[target], place, quick, seed, resume, as_json, pretrained)
        return
    if template is None:
        what = f"{target!r} is none of {NAMES}, and there is no --template"
        raise DataError(explain("prompt", what, remedy='give one, as "{text} It was {mask}."'))
    asked = Template(template)
    example = _pairs(slot or [], "--slot")
    words = {name: text.split(",") for name, text in _pairs(label or [], "--label").items()}
    verbalizer = Verbalizer(words) if words else None
    model, tokenizer = _model(target)
    model = with_tuned(model, tuned)
    if verbalizer is None:
        text = complete(model, tokenizer, asked, example, tokens)
        typer.echo(json.dumps({"answer": text}) if as_json else text)
        return
    free = [] if content_free is None else [dict.fromkeys(example, content_free)]
    chances = score(model, tokenizer, asked, verbalizer, [example], content_free=free, batch=1)[0]
    if as_json:
        typer.echo(json.dumps(dict(zip(verbalizer.labels, chances.tolist(), strict=True))))
        return
    for name, chance in sorted(zip(verbalizer.labels, chances, strict=True), key=lambda p: -p[1]):
        typer.echo(f"{chance:8.1%}  {name}")


def _model(target: str) -> tuple[Any, Any]:
    """Model and tokenizer of a run folder or of an installed package. Errors: CheckpointError."""
    if not Path(target).exists() and any(known.startswith(target) for known in PACKAGES):
        return from_package(target)
    return from_run(target)


def _pairs(given: list[str], option: str) -> dict[str, str]:
    """NAME=text as name -> text. Errors: DataError."""
    found = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name or name in found:
            what = f"{text!r} is no NAME=text, or gives a name again"
            raise DataError(explain(option, what))
        found[name] = value
    return found
