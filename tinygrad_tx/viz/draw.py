"""draw: a picture of what a tensor, a model or a captured function computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from tinygrad_tx.errors import DrawError, explain
from tinygrad_tx.missing import knows_arguments, nearest
from tinygrad_tx.tensor import Tensor
from tinygrad_tx.viz.overlay import OVERLAYS
from tinygrad_tx.viz.render import SUFFIXES, Drawing, Plot
from tinygrad_tx.viz.subject import Subject, check_foreign
from tinygrad_tx.viz.theme import THEMES
from tinygrad_tx.viz.views import BARE, VIEWS, Diagram, Look, View, picture_of
from tinygrad_tx.viz.words import LANGUAGES

__all__ = ["VIEWS", "draw"]


@overload
def draw(
    target: Any,
    path: str | Path | None = None,
    view: Diagram = "blocks",
    *,
    inputs: Sequence[Any] = (),
    depth: int | None = None,
    overlay: str | Mapping[str, Any] | None = None,
    passes: str | Sequence[str] | None = None,
    theme: str | None = None,
    lang: str = "en",
) -> Drawing: ...
@overload
def draw(
    target: Any,
    path: str | Path | None = None,
    *,
    view: Literal["memory"],
    inputs: Sequence[Any] = (),
    theme: str | None = None,
    lang: str = "en",
) -> Plot: ...
@overload
def draw(
    target: Any,
    path: str | Path | None = None,
    view: View = "blocks",
    *,
    inputs: Sequence[Any] = (),
    depth: int | None = None,
    overlay: str | Mapping[str, Any] | None = None,
    passes: str | Sequence[str] | None = None,
    theme: str | None = None,
    lang: str = "en",
) -> Drawing | Plot: ...
@knows_arguments
def draw(
    target: Any,
    path: str | Path | None = None,
    view: View = "blocks",
    *,
    inputs: Sequence[Any] | Tensor | np.ndarray[Any, Any] = (),
    depth: int | None = None,
    overlay: str | Mapping[str, Any] | None = None,
    passes: str | Sequence[str] | None = None,
    theme: str | None = None,
    lang: str = "en",
) -> Drawing | Plot:
    """The picture of `target`: a Tensor; a Module, a method of one or a function of tensors,
    under `tx.jit` or not, with example `inputs` (models know some for themselves); or the path of
    an .onnx file, which is drawn but not run (views "blocks" and "ops").

    view: "blocks" draws modules as boxes and repeated modules once, with their number; "ops" every
    operation; "gradient" the backward pass beside the forward pass; "rewrite" the graph before and
    after compiler passes, side by side; "program" the compiled steps; "memory" their buffers over
    time. Those two need a module or a function. "pipeline" draws the history of a run,
    from corpus to model to text; there `target` is the path of its folder.
    passes: of the view "rewrite": "reunite", "expand", "simplify", "fuse", "epilogue", "sums" or
    several of them, as `tx.jit` runs them, after those that come before (all if not given).
    depth: how many levels of modules stand open; if not given, enough for the blocks that repeat.
    overlay: "shapes" along the arrows; "parameters", "flops", "bytes", "memory" (of results) or
    measured "time" in the boxes, with colours from the least to the most; of the real `inputs`
    "statistics" of what each box gives out, the weights of "attention", norms of "gradients" (of
    `model.loss` where the inputs are enough for it) and where the first "nan" arises; or a mapping
    from module paths to figures or arrays of your own. theme: "light" or "dark"; not given, it is
    light, and a page follows the reader's system. lang: "en" or "zh".
    The suffix of `path` decides the format: .svg, .png, .pdf, .dot, .mmd (Mermaid) or .html (a page
    with search and zoom); the .dot is always written beside a picture. Nothing is computed but for
    "time" and the overlays of real inputs. A graph too large to draw is drawn shortened, and says
    so.
    Errors: DrawError where the target has no graph, or no renderer can draw it.
    """
    _check(path, view, depth, overlay, theme, lang)
    if isinstance(inputs, (Tensor, np.ndarray)):
        inputs = (inputs,)
    if passes is not None and view != "rewrite":
        what = f"view {view} takes no passes"
        raise DrawError(explain("draw", what, remedy='use view="rewrite"'))
    check_foreign(target, view, overlay)
    # A page shows figures of every box.
    is_page = Path(path or "").suffix == ".html"
    if view == "memory":
        # Here, for who draws no plot does not wait a third of a second for matplotlib.
        from tinygrad_tx.viz.memory_view import memory_picture

        subject = Subject(target, inputs)
        program = subject.captured().plan(*subject.inputs).program
        made: Drawing | Plot = Plot(
            lambda format: memory_picture(program, theme or "light", format)
        )
    else:
        picture, opening = picture_of(Look(target, view, inputs, depth, overlay, passes, is_page))
        made = Drawing(picture, theme, lang, opening)
    if path is not None:
        made.save(path)
    return made


def _check(
    path: Any, view: str, depth: int | None, overlay: Any, theme: str | None, lang: str
) -> None:
    for name, value, allowed in (
        ("view", view, VIEWS),
        ("overlay", overlay, (None, *OVERLAYS)),
        ("theme", theme, (None, *THEMES)),
        ("lang", lang, LANGUAGES),
    ):
        if not isinstance(value, Mapping) and value not in allowed:
            listed = ", ".join(str(a) for a in allowed if a)
            remedy = nearest(str(value), [a for a in allowed if a])
            what = f"{name} {value!r} is not one of {listed}"
            raise DrawError(explain("draw", what, remedy=remedy))
    if depth is not None and depth < 0:
        remedy = "0 leaves all modules closed"
        raise DrawError(explain("draw", f"depth {depth} is negative", remedy=remedy))
    if overlay not in (None, "shapes") and view in BARE:
        what = f"view {view} takes no overlay but shapes"
        raise DrawError(explain("draw", what, remedy="use view blocks, ops or gradient"))
    if path is not None and Path(path).suffix not in SUFFIXES:
        what = f"{str(path)!r} ends in none of {', '.join(SUFFIXES)}"
        raise DrawError(explain("draw", what, remedy="give the path one of these"))
