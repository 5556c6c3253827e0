"""tinygrad-tx draw."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from tinygrad_tx.cli.load import load_run
from tinygrad_tx.models import GPT, GPTConfig
from tinygrad_tx.viz import draw as draw_picture

__all__ = ["draw"]


def draw(
    run: Annotated[
        Path | None,
        typer.Argument(help="A run folder that `train` made, or an .onnx file; else sizes."),
    ] = None,
    out: Annotated[Path, typer.Option(help=".svg .png .pdf .dot .mmd or .html")] = Path(
        "model.svg"
    ),
    view: Annotated[str, typer.Option(help="blocks, ops, gradient, program or memory.")] = "blocks",
    depth: Annotated[int, typer.Option(min=0, help="Levels of modules that stand open.")] = 1,
    overlay: Annotated[
        str | None, typer.Option(help="shapes, parameters, flops, bytes, memory or time.")
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

    Example: tinygrad-tx draw --layers 12 --heads 12 --width 768 --out gpt.html
    """
    options = {"depth": depth, "overlay": overlay, "theme": theme, "lang": lang}
    if run is not None and run.suffix.lower() == ".onnx":
        draw_picture(run, out, view, **options)  # type: ignore[arg-type]  # checked by draw itself
        typer.echo(f"Drawn: {out}")
        return
    if run is not None:
        model, _ = load_run(run)
    else:
        model = GPT(GPTConfig(vocab, context, layers, heads, width))
    tokens = np.zeros((batch, model.config.context), np.int64)
    draw_picture(model, out, view, inputs=(tokens,), **options)  # type: ignore[arg-type]  # checked by draw itself
    typer.echo(f"Drawn: {out}")
