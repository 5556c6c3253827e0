"""Facts: what a page says of a node or a module: results, formula, place, parameters, work."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tinygrad_tx.graph.node import Node
from tinygrad_tx.viz.names import Names
from tinygrad_tx.viz.picture import quantity, shape_text

__all__ = ["facts_of", "figures_of", "parameters_of", "place_of", "trained", "work_of"]

Fact = tuple[str, str]


def facts_of(node: Node) -> tuple[Fact, ...]:
    """Its results, its formula, and where it was asked for."""
    shown = ", ".join(f"{a.dtype} {shape_text(a)}" for a in node.outputs)
    found = [("result", shown), ("formula", node.op.formula), ("made at", place_of(node.where))]
    return tuple((name, value) for name, value in found if value)


def figures_of(nodes: Sequence[Node], names: Names) -> tuple[Fact, ...]:
    """How many numbers are trained in these nodes, and their floating-point operations."""
    parameters, work = trained(nodes, names), sum(work_of(n) for n in nodes)
    found = [("parameters", f"{parameters:,}")] if parameters else []
    return tuple(found + ([("work", quantity(work, "FLOP"))] if work else []))


def trained(nodes: Sequence[Node], names: Names) -> int:
    """Elements of the parameters that these nodes read."""
    return sum(n.aval.size for n in parameters_of(nodes, names))


def parameters_of(nodes: Sequence[Node], names: Names) -> list[Node]:
    """The parameters that these nodes read, seen through views of them."""
    found: dict[Node, None] = {}
    stack = [i for n in nodes for i in n.inputs] + [n for n in nodes if n.op.name == "buffer"]
    while stack:
        node = stack.pop()
        if node.op.name == "buffer" and names.is_parameter(node):
            found[node] = None
        elif node.op.view is not None:
            stack.extend(node.inputs)
    return list(found)


def work_of(node: Node) -> float:
    """Floating-point operations of one run: of its cost, else one for each element."""
    if node.op.name == "buffer" or node.op.view is not None:
        return 0.0
    return node.op.cost(node).flops if node.op.cost else float(max(a.size for a in node.outputs))


def place_of(where: str) -> str:
    """`file:line` as short as it stays clear: from the current folder, else the last two parts.

    A drawing is passed on to others: it must not tell how the folders of a home are called.
    """
    file, colon, line = where.rpartition(":")
    if not file or not os.path.isabs(file):
        return where
    path, here = Path(file), Path.cwd()
    if path.is_relative_to(here) and here not in Path.home().parents:
        return f"{path.relative_to(here).as_posix()}{colon}{line}"
    return f"{'/'.join(path.parts[-2:]).lstrip('/')}{colon}{line}"
