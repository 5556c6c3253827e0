"""tinygrad-tx draw."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from tinygrad_tx.cli.completion import LANGUAGES, THEMES, among, listed
from tinygrad_tx.cli.real_input import corpus_of, window_of
from tinygrad_tx.compiler.pipeline import PASSES
from tinygrad_tx.data import Tokenizer
from tinygrad_tx.errors import DrawError, explain
from tinygrad_tx.models import GPT, PRESETS, GPTConfig, abstract, from_run
from tinygrad_tx.train.run import RunFolder
from tinygrad_tx.viz import draw as draw_picture
from tinygrad_tx.viz.overlay import FROM_VALUES, OVERLAYS
from tinygrad_tx.viz.views import VIEWS as ALL_VIEWS

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
    preset: Annotated[
        str | None,
        typer.Option(
            help="A published model by shape alone: gpt2, mt-nlg-530b, ...",
            autocompletion=among(PRESETS),
        ),
    ] = None,
    view: Annotated[str, typer.Option(help=VIEWS, autocompletion=among(ALL_VIEWS))] = "blocks",
    passes: Annotated[
        str | None,
        typer.Option(
            help="Of view rewrite, with commas between: expand,simplify.",
            autocompletion=listed([p.name for p in PASSES]),
        ),
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option(min=0, help="Levels of modules that stand open.  [down to what repeats]"),
    ] = None,
    overlay: Annotated[
        str | None,
        typer.Option(
            help="shapes, parameters, flops, bytes, memory or time; of a trained model on real "
            "input: statistics, attention, gradients or nan.",
            autocompletion=among(OVERLAYS),
        ),
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="The real input.  [a window of the run's held-out text]")
    ] = None,
    theme: Annotated[
        str | None,
        typer.Option(
            help="light or dark; a page follows its reader if not given.",
            autocompletion=among(THEMES),
        ),
    ] = None,
    lang: Annotated[str, typer.Option(help="en or zh.", autocompletion=among(LANGUAGES))] = "en",
    layers: Annotated[int, typer.Option(min=1)] = 4,
    heads: Annotated[int, typer.Option(min=1)] = 4,
    width: Annotated[int, typer.Option(min=1)] = 128,
    context: Annotated[int, typer.Option(min=1)] = 64,
    vocab: Annotated[int, typer.Option(min=1)] = 65,
    batch: Annotated[int, typer.Option(min=1, help="Of the example that is drawn.")] = 1,
) -> None:
    """Draws a model: a trained one, a published one, a GPT of given sizes, or that of an ONNX file.

    \b
    Examples: of given sizes, by shape alone, on real input, where a run came from:
      tinygrad-tx draw --layers 12 --heads 12 --width 768 --out gpt.html
      tinygrad-tx draw --preset mt-nlg-530b --overlay flops --out mt-nlg.svg
      tinygrad-tx draw runs/gpt --overlay attention --text "To be, or not to be"
      tinygrad-tx draw runs/gpt --view pipeline
    """
    options: dict[str, Any] = {"depth": depth, "overlay": overlay, "theme": theme, "lang": lang}
    if passes is not None:
        options["passes"] = passes.split(",")
    target: Any = run
    if preset is not None:
        if run is not None or text is not None:
            what = "--preset is a model by shape alone"
            raise DrawError(explain("draw", what, remedy="leave out the run folder and --text"))
        target = abstract(preset)
    elif run is None or not (view == "pipeline" or run.suffix.lower() == ".onnx"):
        sizes = GPTConfig(vocab, context, layers, heads, width)
        target, tokenizer = from_run(run) if run is not None else (GPT(sizes), None)
        options["inputs"] = _inputs(target, tokenizer, run, overlay, text, batch)
    draw_picture(target, out, view, **options)  # type: ignore[call-overload]  # checked by draw itself
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
