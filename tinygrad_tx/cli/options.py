"""What `train` can be told of a run, said once: fields, their defaults, and options of the command.

`spread` makes a command of a function that takes them all as one value; `search` reads them too.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from tinygrad_tx.cli.completion import TOKENIZERS, among
from tinygrad_tx.train.guard import POLICIES

__all__ = ["Options", "spread"]


@dataclasses.dataclass(frozen=True)
class Options:
    """What the command line can say of a run; None: not said."""

    text: Annotated[Path | None, typer.Option(help="Your own text, UTF-8.")] = None
    data: Annotated[
        list[str] | None,
        typer.Option(help="A folder of `data prepare`; more of them with shares, as DIR=0.3."),
    ] = None
    documents: Annotated[
        bool, typer.Option("--documents", help="With --data: no window crosses a document's end.")
    ] = False
    start: Annotated[
        Path | None,
        typer.Option("--start-from", help="Fine-tune the model of this run folder."),
    ] = None
    tokenizer: Annotated[
        str | None,
        typer.Option(help="char, byte or bpe.  [char]", autocompletion=among(TOKENIZERS)),
    ] = None
    vocab_size: Annotated[int | None, typer.Option(min=256, help="Units of bpe.  [512]")] = None
    steps: Annotated[
        int | None, typer.Option(min=1, help="Training steps.  [1800; 600 with --start-from]")
    ] = None
    layers: Annotated[int | None, typer.Option(min=1, help="Blocks.  [4]")] = None
    heads: Annotated[int | None, typer.Option(min=1, help="Attention heads.  [4]")] = None
    width: Annotated[int | None, typer.Option(min=1, help="Residual stream.  [128]")] = None
    context: Annotated[int | None, typer.Option(min=1, help="Tokens seen.  [128]")] = None
    batch: Annotated[int | None, typer.Option(min=1, help="Windows a step.  [16]")] = None
    dropout: Annotated[
        float | None, typer.Option(min=0.0, max=0.99, help="For small texts.  [0]")
    ] = None
    learning_rate: Annotated[
        float | None,
        typer.Option(min=0.0, help="At its peak.  [0.002; 0.0005 with --start-from]"),
    ] = None
    seed: Annotated[int, typer.Option(help="Weights, batches and samples.")] = 0
    on_bad: Annotated[
        str,
        typer.Option(
            help="What a NaN or a leap of the loss leads to: stop, skip, rollback.",
            autocompletion=among(POLICIES),
        ),
    ] = "stop"
    spike: Annotated[
        float, typer.Option(min=0, help="A loss above so many times the usual is bad; 0: never.")
    ] = 0.0
    accumulate: Annotated[
        int, typer.Option(min=1, help="Batches in a step: their gradients are added up.")
    ] = 1
    average: Annotated[
        float, typer.Option(help="Decay of a moving average of the weights, as 0.999; 0: none.")
    ] = 0.0
    patience: Annotated[
        int, typer.Option(min=0, help="Validations without a new best before it ends; 0: never.")
    ] = 0
    validate_every: Annotated[
        int | None, typer.Option(min=1, help="Steps.  [a quarter of all, at most 250]")
    ] = None
    quick: Annotated[bool, typer.Option("--quick", help="A small model, some seconds.")] = False


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """`command(options, ...)` as Typer reads it: every field of `Options` is a parameter, then the
    command's own."""
    names = [field.name for field in dataclasses.fields(Options)]
    hints = get_type_hints(Options, include_extras=True)
    hints |= get_type_hints(command, include_extras=True)
    _, *own = inspect.signature(command).parameters.values()
    asked = [
        inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default)
        for field in dataclasses.fields(Options)
    ]

    @functools.wraps(command)
    def spread_out(**given: Any) -> None:
        options = Options(**{name: given.pop(name) for name in names})
        command(options, **given)

    parameters = [
        p.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[p.name])
        for p in (*asked, *own)
    ]
    spread_out.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    spread_out.__annotations__ = {p.name: p.annotation for p in parameters}
    return spread_out
