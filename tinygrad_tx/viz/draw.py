"""draw: a picture of what a tensor, a model or a captured function computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from tinygrad_tx.autodiff import reverse
from tinygrad_tx.compiler.simplify import simplify
from tinygrad_tx.errors import DrawError, explain
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.walk import collect
from tinygrad_tx.profile import Profile, profile
from tinygrad_tx.viz.blocks_view import blocks_picture, gradient_picture
from tinygrad_tx.viz.gradient_norms import subject_of
from tinygrad_tx.viz.names import Names, Opened, usual_depth
from tinygrad_tx.viz.opened import open_attention
from tinygrad_tx.viz.ops_view import ops_picture
from tinygrad_tx.viz.overlay import COUNTED, FROM_VALUES, OVERLAYS, overlaid, timed, totals
from tinygrad_tx.viz.picture import Picture
from tinygrad_tx.viz.pipeline_view import pipeline_picture
from tinygrad_tx.viz.program_view import memory_picture, program_picture
from tinygrad_tx.viz.render import SUFFIXES, Drawing, Plot
from tinygrad_tx.viz.rewrite_view import rewrite_picture, rewritten
from tinygrad_tx.viz.scene import Scalar, Scene, behind_units
from tinygrad_tx.viz.sheets import Opening, of_modules, of_whole
from tinygrad_tx.viz.shorten import BUDGET, shortened
from tinygrad_tx.viz.subject import Subject, check_foreign
from tinygrad_tx.viz.theme import LANGUAGES, THEMES

__all__ = ["VIEWS", "draw"]

VIEWS = ("blocks", "ops", "gradient", "rewrite", "program", "memory", "pipeline")

View = Literal["blocks", "ops", "gradient", "rewrite", "program", "memory", "pipeline"]

_BARE = ("rewrite", "program", "memory", "pipeline")
"""Views whose boxes take no figures."""


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
) -> Drawing | Plot:
    """The picture of `target`: a Tensor; a Module, a method of one or a captured function, with
    example `inputs` (models know some for themselves); or the path of an .onnx file, which is drawn
    but not run (views "blocks" and "ops").

    view: "blocks" draws modules as boxes and repeated modules once, with their number; "ops" every
    operation; "gradient" the backward pass beside the forward pass; "rewrite" the graph before and
    after compiler passes, side by side; "program" the compiled steps; "memory" their buffers over
    time. Those two need a module or a captured function. "pipeline" draws the history of a run,
    from corpus to model to text; there `target` is the path of its folder.
    passes: of the view "rewrite": "expand", "simplify", "fuse", "epilogue", "sums" or several of
    them, as `tx.jit` runs them, after those that come before (all if not given).
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
    if passes is not None and view != "rewrite":
        what = f"view {view} takes no passes"
        raise DrawError(explain("draw", what, remedy='use view="rewrite"'))
    check_foreign(target, view, overlay)
    look = theme or "light"
    if view == "pipeline":
        return _saved(_history(target), path, theme, lang)
    subject, scalar = (
        subject_of(target, inputs)
        if overlay == "gradients"
        else (Subject(target, inputs), Scalar())
    )
    shapes = overlay == "shapes"
    if view == "memory":
        program = subject.captured().plan(*subject.inputs).program
        plot = Plot(lambda format: memory_picture(program, look, format))
        if path is not None:
            plot.save(path)
        return plot
    timing = cache(lambda: profile(subject.captured(), *subject.inputs))

    # A page shows figures of every box.
    has_figures = not (overlay is None or shapes) or Path(path or "").suffix == ".html"

    def measured(picture: Picture, scene: Scene) -> Picture:
        if overlay is not None and not shapes:
            picture = _measured(picture, overlay, scene, timing)
        note = picture.note or (subject.note if has_figures else "")
        if overlay in COUNTED or subject.is_abstract:
            note = ", ".join(n for n in (note, totals(collect(scene.outputs), scene.names)) if n)
        return replace(picture, note=note)

    if view == "rewrite":
        before, after = rewritten(subject.nodes, passes)
        whole, _ = rewrite_picture(before, after, subject.names, shapes)
        picture, opening = shortened(whole, BUDGET), of_whole(whole)
    elif view == "program":
        whole, _ = program_picture(subject.captured().plan(*subject.inputs).program)
        picture, opening = shortened(whole, BUDGET), of_whole(whole)
    elif view == "ops":
        made, own = ops_picture(subject.nodes, subject.names, shapes)
        behind = {key: [nodes] for key, nodes in own.items()}
        scene = Scene(subject.nodes, behind, subject.names, (), scalar, subject.given)
        whole = measured(made, scene)
        picture, opening = shortened(whole, BUDGET), of_whole(whole)
    else:

        def remake(opened: Opened) -> Picture:
            return shortened(measured(*_modules(subject, view, opened, shapes, scalar)), BUDGET)

        picture, opening = (
            remake(usual_depth(subject.nodes) if depth is None else depth),
            of_modules(remake),
        )
    return _saved(picture, path, theme, lang, opening)


def _saved(
    picture: Picture,
    path: str | Path | None,
    theme: str | None,
    lang: str,
    opening: Opening | None = None,
) -> Drawing:
    drawing = Drawing(picture, theme, lang, opening)
    if path is not None:
        drawing.save(path)
    return drawing


def _history(target: Any) -> Picture:
    if not isinstance(target, str | Path):
        what = f"view pipeline draws run folders, not {type(target).__name__}"
        remedy = "pass the path of a folder that `tinygrad-tx train` made"
        raise DrawError(explain("draw", what, remedy=remedy))
    return shortened(pipeline_picture(target), BUDGET)


def _modules(
    subject: Subject, view: View, opened: Opened, shapes: bool, scalar: Scalar
) -> tuple[Picture, Scene]:
    """The picture of modules, and the graph behind it."""
    names, outputs = subject.names, list(open_attention(subject.nodes, opened))
    gradients: Sequence[Node] = ()
    # Nodes are shared: what is rewritten apart from the outputs still has their nodes in it.
    asked = open_attention(scalar.nodes, opened)
    if view == "gradient":
        asked = simplify(asked)
        found = list(simplify([*outputs, *_gradients(outputs, names)]))
        outputs, gradients = found[: len(outputs)], found[len(outputs) :]
        picture, diagram = gradient_picture(outputs, gradients, names, opened, shapes)
    else:
        picture, diagram = blocks_picture(outputs, names, opened, shapes)
    scalar = replace(scalar, nodes=asked)
    scene = Scene(outputs, behind_units(diagram), names, gradients, scalar, subject.given)
    return picture, scene


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
            raise DrawError(explain("draw", f"{name} {value!r} is not one of {listed}"))
    if depth is not None and depth < 0:
        raise DrawError(explain("draw", f"depth {depth} is negative"))
    if overlay not in (None, "shapes") and view in _BARE:
        what = f"view {view} takes no overlay but shapes"
        raise DrawError(explain("draw", what, remedy="use view blocks, ops or gradient"))
    if path is not None and Path(path).suffix not in SUFFIXES:
        what = f"{str(path)!r} ends in none of {', '.join(SUFFIXES)}"
        raise DrawError(explain("draw", what))


def _measured(
    picture: Picture,
    overlay: str | Mapping[str, Any],
    scene: Scene,
    timing: Callable[[], Profile],
) -> Picture:
    if isinstance(overlay, str) and overlay in FROM_VALUES:
        return FROM_VALUES[overlay](picture, scene)
    behind = {key: blocks[0] for key, blocks in scene.behind.items()}
    if overlay != "time":
        return overlaid(picture, overlay, behind, scene.names)
    found = timing()
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
