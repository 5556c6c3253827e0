"""draw: a picture of what a tensor, a model or a captured function computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from tinygrad_tx.autodiff import reverse
from tinygrad_tx.compiler.simplify import simplify
from tinygrad_tx.errors import DrawError, explain
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.walk import collect
from tinygrad_tx.profile import profile
from tinygrad_tx.viz.blocks_view import blocks_picture, gradient_picture
from tinygrad_tx.viz.names import Names
from tinygrad_tx.viz.opened import open_attention
from tinygrad_tx.viz.ops_view import ops_picture
from tinygrad_tx.viz.overlay import OVERLAYS, overlaid, timed
from tinygrad_tx.viz.picture import Picture
from tinygrad_tx.viz.program_view import memory_picture, program_picture
from tinygrad_tx.viz.render import SUFFIXES, Drawing, Plot
from tinygrad_tx.viz.shorten import BUDGET, shortened
from tinygrad_tx.viz.subject import Subject
from tinygrad_tx.viz.theme import LANGUAGES, THEMES

__all__ = ["VIEWS", "draw"]

VIEWS = ("blocks", "ops", "gradient", "program", "memory")

View = Literal["blocks", "ops", "gradient", "program", "memory"]


def draw(
    target: Any,
    path: str | Path | None = None,
    view: View = "blocks",
    *,
    inputs: Sequence[Any] = (),
    depth: int | None = None,
    overlay: str | Mapping[str, Any] | None = None,
    theme: str = "light",
    lang: str = "en",
) -> Drawing | Plot:
    """The picture of `target`: a Tensor, a Module or a captured function with example `inputs`.

    view: "blocks" draws modules as boxes and repeated modules once, with their number; "ops" every
    operation; "gradient" the backward pass beside the forward pass; "program" the compiled steps;
    "memory" their buffers over time. The last two need a module or a captured function.
    depth: how many levels of modules stand open (1 if not given).
    overlay: "shapes" along the arrows; "parameters", "flops", "bytes", "memory" (of results) or
    measured "time" in the boxes, with colours from the least to the most; or a mapping from module
    paths to figures or arrays of your own. theme: "light" or "dark". lang: "en" or "zh".
    The suffix of `path` decides the format: .svg, .png, .pdf, .dot, .mmd (Mermaid) or .html (a page
    with search and zoom); the .dot is always written beside a picture. Nothing is computed but for
    "time". A graph too large to draw is drawn shortened, and says so.
    Errors: DrawError where the target has no graph, or no renderer can draw it.
    """
    _check(path, view, depth, overlay, theme, lang)
    subject = Subject(target, inputs)
    shapes = overlay == "shapes"
    if view == "memory":
        program = subject.captured().plan(*inputs).program
        plot = Plot(lambda format: memory_picture(program, theme, format))
        if path is not None:
            plot.save(path)
        return plot
    outputs, names = subject.nodes, subject.names
    level = 1 if depth is None else depth
    if view == "program":
        picture, _ = program_picture(subject.captured().plan(*inputs).program)
        behind: dict[str, Sequence[Node]] = {}
    elif view == "ops":
        picture, own = ops_picture(outputs, names, shapes)
        behind = {**own}
    else:
        gradients: Sequence[Node] = ()
        outputs = list(open_attention(outputs, level))
        if view == "gradient":
            found = list(simplify([*outputs, *_gradients(outputs, names)]))
            outputs, gradients = found[: len(outputs)], found[len(outputs) :]
        make = (outputs, gradients, names, level, shapes)
        picture, diagram = (
            gradient_picture(*make)
            if view == "gradient"
            else blocks_picture(outputs, names, level, shapes)
        )
        behind = {key: unit.nodes for key, unit in diagram.units.items()}
    if overlay is not None and not shapes:
        picture = _measured(picture, overlay, behind, subject)
    picture = shortened(picture, BUDGET)
    levels: Sequence[Picture] = ()
    if view == "blocks" and path is not None and Path(path).suffix == ".html":
        levels = _levels(picture, subject, level, shapes)
    drawing = Drawing(picture, theme, lang, levels)
    if path is not None:
        drawing.save(path)
    return drawing


def _levels(picture: Picture, subject: Subject, level: int, shapes: bool) -> list[Picture]:
    """The picture with every depth beside it, up to where nothing more opens."""
    found: list[Picture] = []
    for depth in range(12):
        other = picture
        if depth != level:
            outputs = open_attention(subject.nodes, depth)
            made, _ = blocks_picture(outputs, subject.names, depth, shapes)
            other = shortened(made, BUDGET)
        if depth > level and other.boxes.keys() == found[-1].boxes.keys():
            break
        found.append(other)
    return found


def _check(path: Any, view: str, depth: int | None, overlay: Any, theme: str, lang: str) -> None:
    for name, value, allowed in (
        ("view", view, VIEWS),
        ("overlay", overlay, (None, *OVERLAYS)),
        ("theme", theme, tuple(THEMES)),
        ("lang", lang, LANGUAGES),
    ):
        if not isinstance(value, Mapping) and value not in allowed:
            listed = ", ".join(str(a) for a in allowed if a)
            raise DrawError(explain("draw", f"{name} {value!r} is not one of {listed}"))
    if depth is not None and depth < 0:
        raise DrawError(explain("draw", f"depth {depth} is negative"))
    if overlay not in (None, "shapes") and view in ("program", "memory"):
        what = f"view {view} takes no overlay but shapes"
        raise DrawError(explain("draw", what, remedy="use view blocks, ops or gradient"))
    if path is not None and Path(path).suffix not in SUFFIXES:
        what = f"{str(path)!r} ends in none of {', '.join(SUFFIXES)}"
        raise DrawError(explain("draw", what))


def _measured(
    picture: Picture,
    overlay: str | Mapping[str, Any],
    behind: Mapping[str, Sequence[Node]],
    subject: Subject,
) -> Picture:
    if overlay != "time":
        return overlaid(picture, overlay, behind, subject.names)
    found = profile(subject.captured(), *subject.inputs)
    total = f"{found.seconds * 1e3:.3g} ms a call"
    return replace(timed(picture, behind, found), note=total)


def _gradients(outputs: Sequence[Node], names: Names) -> list[Node]:
    """Gradients of the parameters, or of all data where there are none."""
    leaves = [n for n in collect(outputs) if n.op.name == "buffer" and n.dtype.kind == "f"]
    wanted = [n for n in leaves if names.is_parameter(n)] or leaves
    real = [o for o in outputs if o.dtype.kind == "f"]
    seeds = [Builder().full(o.shape, 1.0, o.dtype) for o in real]
    found = [g for g in reverse(real, seeds, wanted) if g is not None]
    if not found:
        raise DrawError(explain("draw", "nothing here has a gradient"))
    return found
