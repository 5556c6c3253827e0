"""tinygrad-tx draw."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from tinygrad_tx.cli.load import load_run
from tinygrad_tx.cli.real_input import corpus_of, window_of
from tinygrad_tx.data import Tokenizer
from tinygrad_tx.errors import DrawError, explain
from tinygrad_tx.models import GPT, GPTConfig
from tinygrad_tx.train.run import RunFolder
from tinygrad_tx.viz import draw as draw_picture
from tinygrad_tx.viz.overlay import FROM_VALUES

__all__ = ["draw"]

VIEWS = "blocks, ops, gradient, rewrite, program, memory; or pipeline: how a run came to be."


def draw(
    run: Annotated[
        Path | None,
        typer.Argument(help="A run folder that `train` made, or an .onnx file; else sizes."),
    ] = None,
    out: Annotated[Path, typer.Option(help=".svg .png .pdf .dot .mmd or .html")] = Path(
        "model.svg"
    ),
    view: Annotated[str, typer.Option(help=VIEWS)] = "blocks",
    passes: Annotated[
        str | None, typer.Option(help="Of view rewrite, with commas between: expand,simplify.")
    ] = None,
    depth: Annotated[int, typer.Option(min=0, help="Levels of modules that stand open.")] = 1,
    overlay: Annotated[
        str | None,
        typer.Option(
            help="shapes, parameters, flops, bytes, memory or time; of a trained model on real "
            "input: statistics, attention, gradients or nan."
        ),
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="The real input.  [a window of the run's held-out text]")
    ] = None,
    theme: Annotated[str, typer.Option(help="light or dark.")] = "light",
    lang: Annotated[str, typer.Option(help="en or zh.")] = "en",
    layers: Annotated[int, typer.Option(min=1)] = 4,
    heads: Annotated[int, typer.Option(min=1)] = 4,
    width: Annotated[int, typer.Option(min=1)] = 128,
    context: Annotated[int, typer.Option(min=1)] = 64,
    vocab: Annotated[int, typer.Option(min=1)] = 65,
    batch: Annotated[int, typer.Option(min=1, help="Of the example that is drawn.")] = 1,
) -> None:
    """Draws a GPT, a trained one or one of the sizes given; or the model in an ONNX file.

    Where a trained one came from: tinygrad-tx draw runs/gpt --view pipeline
    On real input: tinygrad-tx draw runs/gpt --overlay attention --text "To be, or not to be"
    Example: tinygrad-tx draw --layers 12 --heads 12 --width 768 --out gpt.html
    """
    options: dict[str, Any] = {"depth": depth, "overlay": overlay, "theme": theme, "lang": lang}
    if passes is not None:
        options["passes"] = passes.split(",")
    if run is not None and view == "pipeline":
        draw_picture(run, out, view, **options)  # type: ignore[arg-type]  # checked by draw itself
        typer.echo(f"Drawn: {out}")
        return
    if run is not None and run.suffix.lower() == ".onnx":
        draw_picture(run, out, view, **options)  # type: ignore[arg-type]  # checked by draw itself
        typer.echo(f"Drawn: {out}")
        return
    if run is not None:
        model, tokenizer = load_run(run)
    else:
        model, tokenizer = GPT(GPTConfig(vocab, context, layers, heads, width)), None
    inputs = _inputs(model, tokenizer, run, overlay, text, batch)
    draw_picture(model, out, view, inputs=inputs, **options)  # type: ignore[arg-type]  # checked by draw itself
    typer.echo(f"Drawn: {out}")


def _inputs(
    model: GPT,
    tokenizer: Tokenizer | None,
    run: Path | None,
    overlay: str | None,
    text: str | None,
    batch: int,
) -> tuple[Any, ...]:
    """Any tokens where only shapes matter; real ones where values do, with targets for a loss."""
    context = model.config.context
    if text is None and overlay not in FROM_VALUES:
        return (np.zeros((batch, context), np.int64),)
    if run is None or tokenizer is None:
        option = "--text" if text is not None else f"overlay {overlay}"
        what = f"{option} needs a trained model, and sizes give one that has seen nothing"
        raise DrawError(explain("draw", what, remedy="give the run folder that `train` made"))
    if text is None:
        tokens = corpus_of(RunFolder(run), tokenizer, typer.echo)
    else:
        tokens = tokenizer.encode(text)
        if len(tokens) > context + 1:
            typer.echo(f"Input: the first {context} of {len(tokens)} tokens of --text")
    window, targets = window_of(tokens, context, batch)
    return (window, targets) if overlay == "gradients" and targets.size else (window,)
