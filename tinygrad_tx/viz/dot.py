"""DOT text of the two views."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from graphviz import Digraph

from tinygrad_tx.graph.node import Aval, Node
from tinygrad_tx.graph.walk import collect
from tinygrad_tx.viz.blocks import Diagram, Unit
from tinygrad_tx.viz.names import Names, components, spaced

__all__ = ["dot_of_blocks", "dot_of_ops"]

# After the figures of Vaswani et al. 2017: a colour for what a box does.
ATTENTION, NORM, EMBEDDING, PRODUCT, OTHER = "#ffe2bb", "#f2f4c1", "#fce0e2", "#c2e8f7", "#ededed"
MARK = "#ffb3b3"
FRAME, FRAME_LINE = "#f7f7f7", "#9a9a9a"
_NORMS = {"layer_norm", "rms_norm"}
_SIGNS = {"add": "+", "subtract": "−", "multiply": "×", "divide": "÷"}
_TITLES = {"gelu": "GELU", "relu": "ReLU", "silu": "SiLU", "matmul": "MatMul"}


def _start(title: str) -> Digraph:
    dot = Digraph(name=title or "graph")
    dot.attr("graph", rankdir="BT", fontname="Helvetica", fontsize="12", nodesep="0.35")
    dot.attr("graph", ranksep="0.35", compound="true", bgcolor="white")
    dot.attr("node", fontname="Helvetica", fontsize="12", color="#555555")
    dot.attr("edge", fontname="Helvetica", fontsize="9", color="#555555", arrowsize="0.7")
    return dot


def dot_of_blocks(diagram: Diagram, names: Names, shapes: bool) -> str:
    """Boxes, frames around open modules, and arrows between them."""
    dot = _start(names.title)
    if names.title:
        dot.attr("graph", label=names.title, labelloc="t", fontsize="16")
    inside: dict[tuple[str, ...], list[Unit]] = defaultdict(list)
    for unit in diagram.units.values():
        inside[unit.frame].append(unit)
    _write_frame(dot, (), inside, diagram, names)
    kinds = {key: unit.kind for key, unit in diagram.units.items()}
    for edge in diagram.edges:
        style: dict[str, str] = {}
        if shapes and not edge.tied:
            style["label"] = f" {_shape(edge.aval)}"
        if edge.tied:
            style |= {"style": "dashed", "label": " same weights", "constraint": "false"}
        if kinds[edge.source] == "parameter":
            style["arrowhead"] = "none"
        dot.edge(_id(edge.source), _id(edge.target), **style)
    return str(dot.source)


def _write_frame(
    dot: Digraph,
    frame: tuple[str, ...],
    inside: dict[tuple[str, ...], list[Unit]],
    diagram: Diagram,
    names: Names,
) -> None:
    """The units of a frame and the frames within it. Frames nest as modules do: a few levels."""
    for unit in inside.get(frame, ()):
        _write_unit(dot, unit, diagram, names)
    for child in _frames_within(frame, inside):
        path = ".".join(child)
        with dot.subgraph(name=f"cluster {path}") as part:
            label = names.title_of(path) + _times(diagram, path)
            part.attr(label=label, style="rounded,filled", fillcolor=FRAME, color=FRAME_LINE)
            part.attr(labeljust="r", labelloc="b", fontsize="13", margin="14")
            _write_frame(part, child, inside, diagram, names)


def _frames_within(
    frame: tuple[str, ...], inside: Iterable[tuple[str, ...]]
) -> list[tuple[str, ...]]:
    """The frames one level below `frame`."""
    level = len(frame)
    return sorted({f[: level + 1] for f in inside if len(f) > level and f[:level] == frame})


def _write_unit(dot: Digraph, unit: Unit, diagram: Diagram, names: Names) -> None:
    key = _id(unit.key)
    node = unit.nodes[0]
    if unit.kind == "box":
        title = names.title_of(unit.path) + _times(diagram, unit.path)
        own = components(unit.path)[-1].split(".")[0]
        label = title if spaced(own) == title else f"{title}\n{own.replace('_', ' ')}"
        dot.node(key, label, shape="box", style="rounded,filled", fillcolor=_colour(unit))
    elif unit.kind == "op" and node.op.name in _SIGNS:
        dot.node(
            key, _SIGNS[node.op.name], shape="circle", margin="0.02", width="0.3", fixedsize="true"
        )
    elif unit.kind == "op":
        title = _TITLES.get(node.op.name, spaced(node.op.name))
        dot.node(key, title, shape="box", style="rounded,filled", fillcolor=_colour(unit))
    elif unit.kind == "parameter":
        label = f"{names.parameters.get(node, 'weight')}\n{_shape(node.aval)}"
        dot.node(key, label, shape="box", style="filled", fillcolor="white", fontsize="9")
    elif unit.kind == "input":
        title = names.inputs.get(node, "input")
        dot.node(key, f"{title}\n{node.dtype} {_shape(node.aval)}", shape="plaintext")
    else:
        dot.node(key, f"output\n{node.dtype} {_shape(node.aval)}", shape="plaintext")


def _times(diagram: Diagram, path: str) -> str:
    return f"  × {diagram.repeats[path]}" if path in diagram.repeats else ""


def _colour(unit: Unit) -> str:
    """By what the box computes, not by what it is called."""
    ops = {n.op.name for n in unit.nodes}
    if "attention" in ops or any(n.name == "pattern" for n in unit.nodes):
        return ATTENTION
    if ops <= _NORMS:
        return NORM
    if "take" in ops and "matmul" not in ops:
        return EMBEDDING
    return PRODUCT if "matmul" in ops else OTHER


def dot_of_ops(
    outputs: Sequence[Node], names: Names, shapes: bool, marked: Node | None = None
) -> str:
    """Every operation in the frame of its module; constants stand in the label of their reader."""
    dot = _start(names.title)
    nodes = [n for n in collect(outputs) if n.op.name != "constant"]
    number = {node: i for i, node in enumerate(nodes)}
    inside: dict[tuple[str, ...], list[Node]] = defaultdict(list)
    for node in nodes:
        inside[components(node.scope)].append(node)
    _write_ops(dot, (), inside, names, set(outputs), number)
    if marked is not None:
        dot.node(f"n{number[marked]}", fillcolor=MARK, color="#b00020", penwidth="3")
    for node in nodes:
        for source in node.inputs:
            if source in number:
                label = {"label": f" {source.dtype} {_shape(source.aval)}"} if shapes else {}
                dot.edge(f"n{number[source]}", f"n{number[node]}", **label)
    return str(dot.source)


def _write_ops(
    dot: Digraph,
    frame: tuple[str, ...],
    inside: dict[tuple[str, ...], list[Node]],
    names: Names,
    outputs: set[Node],
    number: dict[Node, int],
) -> None:
    for node in inside.get(frame, ()):
        style: dict[str, Any] = {"shape": "box", "style": "rounded,filled", "fillcolor": "#eef3fa"}
        if node.op.name == "buffer":
            title = names.parameters.get(node) or names.inputs.get(node) or "data"
            label = f"{title}\n{node.dtype} {_shape(node.aval)}"
            style |= {
                "shape": "ellipse",
                "fillcolor": EMBEDDING if names.is_parameter(node) else "white",
            }
        else:
            values = [str(i.attrs["value"]) for i in node.inputs if i.op.name == "constant"]
            label = " ".join([node.op.name, *values])
            label = f"{node.name}: {label}" if node.name else label
        if node in outputs:
            style["penwidth"] = "2"
        dot.node(f"n{number[node]}", label, **style)
    for child in _frames_within(frame, inside):
        with dot.subgraph(name=f"cluster {'.'.join(child)}") as part:
            part.attr(label=child[-1], style="rounded", color=FRAME_LINE, fontsize="11")
            _write_ops(part, child, inside, names, outputs, number)


def _shape(aval: Aval) -> str:
    return "×".join(map(str, aval.shape)) or "number"


def _id(key: str) -> str:
    """A name in DOT without the signs that mean something there."""
    return key.replace(" ", "_").replace(".", "_").replace(":", "_")
