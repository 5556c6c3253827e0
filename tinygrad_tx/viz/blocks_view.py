"""Pictures of block diagrams: what a paper shows, and the same with the backward pass beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from tinygrad_tx.graph.node import Node
from tinygrad_tx.viz.blocks import BACKWARD, Diagram, Edge, Unit, bare, blocks_of
from tinygrad_tx.viz.facts import facts_of, figures_of
from tinygrad_tx.viz.fold import folded
from tinygrad_tx.viz.names import Names, Opened, components, operation_of, spaced
from tinygrad_tx.viz.picture import Arrow, Box, Link, Picture, Role, shape_text

__all__ = ["blocks_picture", "gradient_picture", "role_of"]

_NORMS = {"layer_norm", "rms_norm"}
_SIGNS = {"add": "+", "subtract": "−", "multiply": "×", "divide": "÷"}
_STEPS = {"scale", "mask", "bias"}  # of attention: called by what they do, as in its figure
_TITLES = {"gelu": "GELU", "relu": "ReLU", "silu": "SiLU", "matmul": "MatMul"}


def blocks_picture(
    outputs: Sequence[Node], names: Names, opened: Opened, shapes: bool
) -> tuple[Picture, Diagram]:
    """Modules as boxes, repeated ones once with their number; and the diagram behind it."""
    diagram = folded(blocks_of(outputs, names, opened))
    return _picture(diagram, names, shapes), diagram


def gradient_picture(
    outputs: Sequence[Node], gradients: Sequence[Node], names: Names, opened: Opened, shapes: bool
) -> tuple[Picture, Diagram]:
    """Forward and backward side by side, with arrows from modules to their gradients."""
    whole = blocks_of(outputs, names, opened, gradients)
    is_back = {key: unit.frame[:1] == (BACKWARD,) for key, unit in whole.units.items()}
    # What the backward pass reads of the forward pass would keep equal blocks apart.
    across = [e for e in whole.edges if is_back[e.target] and not is_back[e.source]]
    kept = [e for e in whole.edges if is_back[e.source] or not is_back[e.target]]
    reads = {(_alike(e.source), _alike(e.target)) for e in across}
    diagram = folded(Diagram(whole.units, kept))
    picture = _picture(diagram, names, shapes)
    arrows: dict[Arrow, None] = {}
    for arrow in picture.arrows:
        both = is_back[arrow.source] and is_back[arrow.target]
        arrows[replace(arrow, link="back") if both else arrow] = None
    shown = {_alike(key): key for key in picture.boxes if not is_back[key]}
    for key in picture.boxes:
        twin = _alike(key).replace(BACKWARD, "forward", 1)
        if is_back[key] and (twin, _alike(key)) in reads and twin in shown:
            arrows[Arrow(shown[twin], key, "", "saved")] = None
    picture.arrows = list(arrows)
    return picture, diagram


def _alike(key: str) -> str:
    """A key without the numbers of repeated blocks."""
    return re.sub(r"\.\d+", ".*", key)


def _picture(diagram: Diagram, names: Names, shapes: bool) -> Picture:
    boxes = {key: _box(unit, diagram, names) for key, unit in diagram.units.items()}
    kinds = {key: unit.kind for key, unit in diagram.units.items()}
    arrows: dict[Arrow, None] = {}
    for edge in diagram.edges:
        if edge.tied:
            weights = Arrow(edge.source, edge.target, "same weights", "tied", _carried(edge))
            arrows[weights] = None
            continue
        label = shape_text(edge.aval) if shapes else ""
        link: Link = "weight" if kinds[edge.source] == "parameter" else "flow"
        arrows[Arrow(edge.source, edge.target, label, link, _carried(edge))] = None
    frames = {}
    for box in boxes.values():
        for level in range(1, len(box.frame) + 1):
            path = ".".join(box.frame[:level])
            frames[box.frame[:level]] = _title(path, names) + _times(diagram, path)
    return Picture(names.title, boxes, list(arrows), frames)


def _carried(edge: Edge) -> str:
    return f"{edge.aval.dtype} {shape_text(edge.aval)}"


def _title(path: str, names: Names) -> str:
    return names.title_of(bare(path)) if bare(path) else path


def _times(diagram: Diagram, path: str) -> str:
    return f"  × {diagram.repeats[path]}" if path in diagram.repeats else ""


def _box(unit: Unit, diagram: Diagram, names: Names) -> Box:
    node = unit.nodes[0]
    if unit.kind == "input":
        lines = (f"{node.dtype} {shape_text(node.aval)}",)
        return Box(unit.key, names.inputs.get(node, "input"), "input", lines=lines)
    if unit.kind == "output":
        return Box(unit.key, "output", "output", lines=(f"{node.dtype} {shape_text(node.aval)}",))
    if unit.kind == "parameter":
        title = names.parameters.get(node, "weight")
        return Box(unit.key, title, "parameter", unit.frame, (shape_text(node.aval),))
    if unit.kind == "op":
        facts = (*facts_of(node), *figures_of(unit.nodes, names))
        if node.op.name == "point":
            return Box(unit.key, spaced(node.name), "data", unit.frame, facts=facts)
        if node.op.name in _SIGNS and node.name not in _STEPS:
            return Box(unit.key, _SIGNS[node.op.name], "sign", unit.frame, facts=facts)
        title = _TITLES.get(node.op.name, spaced(operation_of(node)))
        named, role = (node.name,) if node.name else (), role_of(unit.nodes)
        if node.name in _STEPS:
            title, named = spaced(node.name), ()
        return Box(unit.key, title, role, unit.frame, named, facts, opens=unit.opens)
    title = _title(unit.path, names)
    own = components(unit.path)[-1]
    # One of a list is told by its class alone; a title of its own says all.
    is_named = bare(unit.path) in names.titles
    second = () if is_named or "." in own or spaced(own) == title else (own.replace("_", " "),)
    inside = dict.fromkeys(operation_of(n) for n in unit.nodes)
    facts = (
        ("module", bare(unit.path)),
        ("operations", ", ".join(inside)),
        # The formula of its last operation is not that of the module.
        *(f for f in facts_of(unit.nodes[-1]) if f[0] != "formula" or len(inside) == 1),
        *figures_of(unit.nodes, names),
    )
    title += _times(diagram, unit.path)
    role = role_of(unit.nodes)
    return Box(unit.key, title, role, unit.frame, second, facts, opens=unit.opens)


def role_of(nodes: Sequence[Node]) -> Role:
    """By what is computed, not by what it is called."""
    ops = {n.op.name.removesuffix("_gradient") for n in nodes}
    if "attention" in ops or any(n.name == "pattern" for n in nodes):
        return "attention"
    if ops <= _NORMS:
        return "norm"
    if ops & {"take", "scatter_add"} and "matmul" not in ops:
        return "embedding"
    return "product" if "matmul" in ops else "other"
