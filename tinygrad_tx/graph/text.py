"""The text form of a graph: one line for each node, inputs before users."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.walk import collect

__all__ = ["text"]


def text(outputs: Iterable[Node]) -> str:
    """`%4 = matmul(%2, %3) : float32[2, 3]  # blocks.0.attention train.py:12`, numbered from 0.

    Constants stand where they are read. The last line names what is returned.
    """
    outputs = list(outputs)
    nodes = [n for n in collect(outputs) if n.op.name != "constant" or n in outputs]
    number = {node: i for i, node in enumerate(nodes)}
    lines = [f"%{number[n]} = {_operation(n, number)} : {_results(n)}{_origin(n)}" for n in nodes]
    return "\n".join([*lines, f"return {', '.join(f'%{number[o]}' for o in outputs)}"])


def _operation(node: Node, number: dict[Node, int]) -> str:
    inputs = [f"%{number[i]}" if i in number else str(i.attrs["value"]) for i in node.inputs]
    attrs = [f"{k}={_shown(v)}" for k, v in node.attrs.items() if k not in ("buffer", "tag")]
    return f"{node.op.name}({', '.join(inputs + attrs)})"


def _shown(value: Any) -> str:
    """Values as in Python; of anything larger its kind alone."""
    plain = isinstance(value, (bool, int, float, str, tuple))
    return repr(value) if plain else getattr(value, "name", type(value).__name__)


def _results(node: Node) -> str:
    return ", ".join(str(o) for o in node.outputs)


def _origin(node: Node) -> str:
    file, _, line = node.where.rpartition(":")
    parts = (node.path, f"{PurePath(file).name}:{line}" if file else "")
    shown = " ".join(p for p in parts if p)
    return f"  # {shown}" if shown else ""
