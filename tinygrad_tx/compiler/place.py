"""Placement: where each value lives, so that views and concatenations cost no copy.

First, backwards: a value that a reshape, a permutation or a concat will want in another order is
given strides into its user's memory, when the operator that makes it can write there. Then
plan.py walks forwards and gives every other value memory of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from tinygrad_tx.compiler.layout import allowed
from tinygrad_tx.graph.lowering import View
from tinygrad_tx.graph.node import Layout, Node, Operator
from tinygrad_tx.shapes import Shape, contiguous_strides

__all__ = ["Placement", "needs_copy", "place"]

Placement = dict[Node, View]

_LEAVES = ("buffer", "constant")


def needs_copy(nodes: Sequence[Node]) -> set[Node]:
    """View nodes that could not be views if every producer wrote in C order."""
    strides: dict[tuple[Node, int], Shape] = {}
    copied = set()
    for node in nodes:
        for index, aval in enumerate(node.outputs):
            strides[node, index] = contiguous_strides(aval.shape)
            if node.op.name == "part":
                strides[node, 0] = strides[node.inputs[0], node.attrs["index"]]
            elif node.op.view is not None:
                found = node.op.view(node, strides[node.inputs[0], 0], index)
                if found is None:
                    copied.add(node)
                else:
                    strides[node, index] = found[1]
    return copied


def place(
    nodes: Sequence[Node], targets: Mapping[Node, View], new_buffer: Callable[[Node], View]
) -> Placement:
    """Views for the values that should be made in the memory of a user.

    `targets` are values that have a home already (state that is written in place).
    `new_buffer(node)` makes a whole buffer for a node.
    """
    placed: Placement = dict(targets)
    copied = needs_copy(nodes)
    for node in reversed(nodes):
        name = node.op.name
        if name == "concat":
            if node not in placed:
                placed[node] = new_buffer(node)
            home = placed[node]
            for source, piece in zip(node.inputs, _pieces(node, home), strict=True):
                _ask(placed, source, piece, node)
        elif node.op.view is not None and node.op.unview is not None:
            source = node.inputs[0]
            is_shown = source in placed and node.op.view(node, placed[source].strides, 0)
            if node not in placed and node in copied and not is_shown and _could_move(source):
                placed[node] = new_buffer(node)
            if node in placed:
                home = placed[node]
                strides = node.op.unview(node, home.strides)
                if strides is not None:
                    _ask(placed, source, replace(home, shape=source.shape, strides=strides), node)
    return placed


def _pieces(node: Node, home: View) -> list[View]:
    """The part of a concat's memory that each input fills."""
    axis, start, pieces = node.attrs["axis"], home.offset, []
    for source in node.inputs:
        pieces.append(replace(home, offset=start, shape=source.shape))
        start += source.shape[axis] * home.strides[axis]
    return pieces


def _ask(placed: Placement, source: Node, view: View, user: Node) -> None:
    """Places `source` at `view` if nothing placed it before and its operator can write there."""
    if source in placed or user.inputs.count(source) > 1 or source.op.name in _LEAVES:
        return
    op = source.inputs[0].op if source.op.name == "part" else source.op
    if source.op.view is not None and source.op.name != "part":
        if source.op.unview is not None and _could_move(source):
            placed[source] = view
    elif op.view is None and allowed(_written(op), view.shape, view.strides):
        placed[source] = view


def _written(op: Operator) -> Layout:
    """NumPy steps write anywhere; kernels say what they can do."""
    return op.writes if op.lower is not None or op.name == "fused" else "any"


def _could_move(node: Node) -> bool:
    """Whether the value behind a chain of views is computed, so that it can be made elsewhere."""
    while node.op.view is not None and node.op.name != "part":
        if node.op.unview is None:
            return False
        node = node.inputs[0]
    if node.op.name == "part":
        return node.inputs[0].op.view is None
    return node.op.name not in _LEAVES
