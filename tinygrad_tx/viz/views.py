"""Views: a target as a picture, with how it opens: the step between `draw` and each view's file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from tinygrad_tx.autodiff import reverse
from tinygrad_tx.autodiff.expansion import open_where
from tinygrad_tx.compiler.simplify import simplify
from tinygrad_tx.errors import DrawError, explain
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.walk import collect, rewrite
from tinygrad_tx.nn.points import BETWEEN
from tinygrad_tx.ops.call import is_checkpoint
from tinygrad_tx.profile import Profile, profile
from tinygrad_tx.viz.blocks_view import blocks_picture, gradient_picture
from tinygrad_tx.viz.gradient_norms import subject_of
from tinygrad_tx.viz.names import Names, Opened, usual_depth
from tinygrad_tx.viz.opened import open_attention
from tinygrad_tx.viz.ops_view import ops_picture
from tinygrad_tx.viz.overlay import COUNTED, FROM_VALUES, overlaid, timed, totals
from tinygrad_tx.viz.picture import Picture
from tinygrad_tx.viz.pipeline_view import pipeline_picture
from tinygrad_tx.viz.program_view import program_picture
from tinygrad_tx.viz.rewrite_view import rewrite_picture, rewritten
from tinygrad_tx.viz.scene import Scalar, Scene, behind_units
from tinygrad_tx.viz.sheets import Opening, of_modules, of_whole
from tinygrad_tx.viz.shorten import BUDGET, shortened
from tinygrad_tx.viz.subject import Subject

__all__ = ["BARE", "VIEWS", "WHOLE", "Look", "View", "picture_of"]

Diagram = Literal["blocks", "ops", "gradient", "rewrite", "program", "pipeline"]
View = Literal[Diagram, "memory"]
VIEWS: tuple[View, ...] = get_args(View)
"""Diagrams, and a plot over time."""

MODULES = ("blocks", "gradient")
"""Views whose boxes are modules."""

BARE = ("rewrite", "program", "memory", "pipeline")
"""Views whose boxes take no figures."""


@dataclass(frozen=True)
class Look:
    """What is asked for, in the words of `draw`. is_page: whether every box shows its figures."""

    target: Any
    view: View
    inputs: Sequence[Any] = ()
    depth: int | None = None
    overlay: str | Mapping[str, Any] | None = None
    passes: str | Sequence[str] | None = None
    is_page: bool = False

    @property
    def shapes(self) -> bool:
        """Whether arrows say what flows."""
        return self.overlay == "shapes"


def picture_of(look: Look) -> tuple[Picture, Opening | None]:
    """The picture, small enough to lay out, and how it opens. Errors: DrawError."""
    if look.view == "pipeline":
        return _history(look.target), None
    sight = _Sight(look)
    if look.view in MODULES:
        nodes = sight.subject.nodes
        depth = usual_depth(nodes) if look.depth is None else look.depth
        return sight.modules(depth), of_modules(sight.modules)
    whole = WHOLE[look.view](sight)
    return shortened(whole, BUDGET), of_whole(whole)


class _Sight:
    """A target with its graph, and the figures that go into its boxes."""

    def __init__(self, look: Look) -> None:
        self.look = look
        if look.overlay == "gradients":
            self.subject, self.scalar = subject_of(look.target, look.inputs)
        else:
            self.subject, self.scalar = Subject(look.target, look.inputs), Scalar()
        self.subject.nodes = self._shown(self.subject.nodes)
        self.scalar = replace(self.scalar, nodes=self._shown(self.scalar.nodes))

    def _shown(self, outputs: Sequence[Node]) -> list[Node]:
        """Modules show what is in them, also where the backward pass computes it again."""
        is_of_modules = self.look.view in MODULES
        return _unmarked(open_where(outputs, (), is_checkpoint) if is_of_modules else outputs)

    def modules(self, opened: Opened) -> Picture:
        """Modules as boxes, those in `opened` taken apart."""
        look, names = self.look, self.subject.names
        outputs = list(open_attention(self.subject.nodes, opened))
        gradients: Sequence[Node] = ()
        # Nodes are shared: what is rewritten apart from the outputs still has their nodes in it.
        asked = open_attention(self.scalar.nodes, opened)
        if look.view == "gradient":
            asked = simplify(asked)
            found = list(simplify([*outputs, *_gradients(outputs, names)]))
            outputs, gradients = found[: len(outputs)], found[len(outputs) :]
            picture, diagram = gradient_picture(outputs, gradients, names, opened, look.shapes)
        else:
            picture, diagram = blocks_picture(outputs, names, opened, look.shapes)
        scalar = replace(self.scalar, nodes=asked)
        behind = behind_units(diagram)
        scene = Scene(outputs, behind, names, gradients, scalar, self.subject.given)
        return shortened(self.measured(picture, scene), BUDGET)

    def measured(self, picture: Picture, scene: Scene) -> Picture:
        """The picture with the figures that were asked for, and what must be said beside them."""
        overlay, subject = self.look.overlay, self.subject
        has_overlay = overlay is not None and not self.look.shapes
        if has_overlay:
            picture = self._overlaid(picture, scene)
        note = picture.note or (subject.note if has_overlay or self.look.is_page else "")
        if overlay in COUNTED or subject.is_abstract:
            note = ", ".join(n for n in (note, totals(collect(scene.outputs), scene.names)) if n)
        return replace(picture, note=note)

    def _overlaid(self, picture: Picture, scene: Scene) -> Picture:
        overlay = self.look.overlay
        assert overlay is not None
        if isinstance(overlay, str) and overlay in FROM_VALUES:
            return FROM_VALUES[overlay](picture, scene)
        behind = {key: blocks[0] for key, blocks in scene.behind.items()}
        if overlay != "time":
            return overlaid(picture, overlay, behind, scene.names)
        total = f"{self._profile.seconds * 1e3:.3g} ms a call"
        return replace(timed(picture, behind, self._profile), note=total)

    @cached_property
    def _profile(self) -> Profile:
        return profile(self.subject.captured(), *self.subject.inputs)


def _ops(sight: _Sight) -> Picture:
    subject = sight.subject
    made, own = ops_picture(subject.nodes, subject.names, sight.look.shapes)
    behind = {key: [nodes] for key, nodes in own.items()}
    scene = Scene(subject.nodes, behind, subject.names, (), sight.scalar, subject.given)
    return sight.measured(made, scene)


def _rewrite(sight: _Sight) -> Picture:
    before, after = rewritten(sight.subject.nodes, sight.look.passes)
    return rewrite_picture(before, after, sight.subject.names, sight.look.shapes)[0]


def _program(sight: _Sight) -> Picture:
    subject = sight.subject
    return program_picture(subject.captured().plan(*subject.inputs).program)[0]


WHOLE: Mapping[str, Callable[[_Sight], Picture]] = {
    "ops": _ops,
    "rewrite": _rewrite,
    "program": _program,
}
"""Views of a graph that show every part, whatever modules it has."""


def _unmarked(outputs: Sequence[Node]) -> list[Node]:
    """The graph without the points between parts: an arrow is the picture of these."""

    def rule(b: Builder, node: Node) -> Node | None:
        del b
        return node.inputs[0] if node.op.name == "point" and node.name in BETWEEN else None

    return list(rewrite(outputs, rule))


def _history(target: Any) -> Picture:
    if not isinstance(target, str | Path):
        what = f"view pipeline draws run folders, not {type(target).__name__}"
        remedy = "pass the path of a folder that `tinygrad-tx train` made"
        raise DrawError(explain("draw", what, remedy=remedy))
    return shortened(pipeline_picture(target), BUDGET)


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
