"""The picture of every operation, in the frames of the modules that asked for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tinygrad_tx.compiler.simplify import scalar_of
from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.walk import collect
from tinygrad_tx.viz.blocks_view import role_of
from tinygrad_tx.viz.facts import facts_of, figures_of
from tinygrad_tx.viz.names import Names, components, titled
from tinygrad_tx.viz.picture import Arrow, Box, Picture, Role, shape_text

__all__ = ["ops_picture"]


def ops_picture(
    outputs: Sequence[Node], names: Names, shapes: bool, marked: Node | None = None
) -> tuple[Picture, dict[str, list[Node]]]:
    """Constants stand in the title of their reader. Also the node behind each box."""
    nodes = [n for n in collect(outputs) if scalar_of(n) is None or n in outputs]
    key_of: dict[Node, str] = {}
    counts: Counter[str] = Counter()
    boxes: dict[str, Box] = {}
    results = set(outputs)
    for node in nodes:
        stem = f"{node.scope} {node.op.name}"
        counts[stem] += 1
        key_of[node] = f"{stem} {counts[stem]}"
        box = _box(key_of[node], node, names, node in results, node is marked)
        boxes[box.key] = box
    arrows = [
        Arrow(key_of[source], key_of[node], _label(source) if shapes else "", shape=_label(source))
        for node in nodes
        for source in node.inputs
        if source in key_of
    ]
    return Picture(names.title, boxes, arrows), {key: [node] for node, key in key_of.items()}


def _label(node: Node) -> str:
    return f"{node.dtype} {shape_text(node.aval)}"


def _box(key: str, node: Node, names: Names, is_result: bool, marked: bool) -> Box:
    frame, facts = components(node.scope), (*facts_of(node), *figures_of([node], names))
    if node.op.name == "buffer":
        title = names.parameters.get(node) or names.inputs.get(node) or "data"
        role: Role = "parameter" if names.is_parameter(node) else "data"
        return Box(key, title, role, frame, (_label(node),), facts, None, is_result, marked)
    return Box(key, titled(node), role_of([node]), frame, (), facts, None, is_result, marked)
