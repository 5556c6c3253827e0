"""simplify: identities removed, views merged, constants folded. Sharing comes by hash-consing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinygrad_tx.dtypes import is_float
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, make_node
from tinygrad_tx.graph.walk import rewrite

__all__ = ["scalar_of", "simplify"]

_IDENTITIES = ("point", "alias", "stop_gradient")


def simplify(outputs: Sequence[Node]) -> tuple[Node, ...]:
    """The same values with less to do. Names and scopes no longer keep equal nodes apart."""
    return rewrite(outputs, _simpler)


def scalar_of(node: Node) -> bool | int | float | None:
    """The value of a constant, seen through broadcasts and reshapes."""
    while node.op.name in ("broadcast_to", "reshape"):
        node = node.inputs[0]
    return node.attrs["value"] if node.op.name == "constant" else None


def _simpler(b: Builder, node: Node) -> Node | None:
    name = node.op.name
    if name in _IDENTITIES:
        return node.inputs[0]
    if node.name:
        args = (node.op, node.inputs, node.attrs, node.outputs, node.scope, "", node.where)
        node = make_node(*args)
    if name in ("reshape", "permute_dims", "broadcast_to", "slice"):
        return _simpler_view(b, node)
    if name == "astype" and node.inputs[0].dtype == node.dtype:
        return node.inputs[0]
    if name == "add":
        node = _joined(b, node) or node
    if node.op.is_elementwise:
        return _folded(b, node) or _without_neutral(b, node) or node
    return node


def _simpler_view(b: Builder, node: Node) -> Node:
    source = node.inputs[0]
    name = node.op.name
    if name == "reshape" and source.op.name == "reshape":
        source = source.inputs[0]
        node = b.reshape(source, shape=node.shape)
    if name == "broadcast_to" and source.op.name == "broadcast_to":
        return b.broadcast_to(source.inputs[0], node.shape)
    if name == "permute_dims" and source.op.name == "permute_dims":
        axes = tuple(source.attrs["axes"][a] for a in node.attrs["axes"])
        source = source.inputs[0]
        node = b.permute_dims(source, axes=axes)
    if name == "permute_dims" and node.attrs["axes"] == tuple(range(len(node.shape))):
        return source
    if name == "slice" and (source.shape != node.shape or any(s < 0 for s in node.attrs["step"])):
        return node
    if name != "permute_dims" and source.shape == node.shape:
        return source
    return node


def _folded(b: Builder, node: Node) -> Node | None:
    """A constant, when all inputs are."""
    values = [scalar_of(i) for i in node.inputs]
    if node.op.ufunc is None or not values or any(v is None for v in values):
        return None
    typed = [np.asarray(v, i.dtype) for v, i in zip(values, node.inputs, strict=True)]
    with np.errstate(all="ignore"):
        value = node.op.ufunc(*typed)
    return b.full(node.shape, value.item(), node.dtype)


def _without_neutral(b: Builder, node: Node) -> Node | None:
    """x*1, 1*x, x/1, x+0, 0+x, x-0, x**1, x**2."""
    if len(node.inputs) != 2 or not is_float(node.dtype):
        return None
    left, right = node.inputs
    name = node.op.name
    if name in ("multiply", "add"):
        neutral = 1 if name == "multiply" else 0
        if scalar_of(right) == neutral:
            return left
        return right if scalar_of(left) == neutral else None
    exponent = scalar_of(right)
    if (name, exponent) in (("divide", 1), ("subtract", 0), ("power", 1)):
        return left
    if (name, exponent) == ("power", 2):
        squared: Node = b.multiply(left, left)
        return squared
    return None


def _joined(b: Builder, node: Node) -> Node | None:
    """The sum of two cotangents of neighbouring slices: their concat, zeros only around it."""
    if any(i.op.name != "unslice" or set(i.attrs["step"]) - {1} for i in node.inputs):
        return None
    low, high = sorted(node.inputs, key=lambda i: i.attrs["start"])
    spans = [list(zip(i.attrs["start"], i.attrs["stop"], strict=True)) for i in (low, high)]
    axes = [a for a, (one, other) in enumerate(zip(*spans, strict=True)) if one != other]
    if len(axes) != 1 or spans[0][axes[0]][1] != spans[1][axes[0]][0]:
        return None
    (axis,) = axes
    pieces: list[Node] = []
    for source in (low.inputs[0], high.inputs[0]):
        is_joined = source.op.name == "concat" and source.attrs["axis"] == axis
        pieces += source.inputs if is_joined else (source,)
    joined: Node = b.concat(*pieces, axis=axis)
    if joined.shape == node.shape:
        return joined
    stop = (*low.attrs["stop"][:axis], high.attrs["stop"][axis], *low.attrs["stop"][axis + 1 :])
    result: Node = b.unslice(joined, **{**low.attrs, "stop": stop})
    return result
