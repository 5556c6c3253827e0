"""What max and min share: the shape of the result, and what each element has in it."""

from __future__ import annotations

from tinygrad_tx.errors import Rejected, ShapeError
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Aval, Node
from tinygrad_tx.ops.infer import keep, numeric, reduced


def infer(x: Aval, axes: tuple[int, ...], keepdims: bool) -> Aval:
    if 0 in (x.shape[a] for a in axes):
        raise Rejected(ShapeError, f"nothing to choose from: {x.shape} is empty along {axes}")
    return Aval(reduced(x, axes, keepdims), numeric(x).dtype)


def _weights(b: Builder, node: Node) -> Node:
    """What each element has in the result: 1, or its share of a tie."""
    x = node.inputs[0]
    axes = node.attrs["axes"]
    best = b.reshape(node, shape=keep(x.aval, axes))
    chosen = b.astype(b.equal(x, best), dtype=x.dtype)
    result: Node = b.divide(chosen, b.sum(chosen, axes=axes, keepdims=True))
    return result


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node]:
    x = node.inputs[0]
    shaped = b.reshape(cotangent, shape=keep(x.aval, node.attrs["axes"]))
    return (b.multiply(_weights(b, node), shaped),)


def tangent(b: Builder, node: Node, x: Node) -> Node:
    result: Node = b.sum(b.multiply(_weights(b, node), x), **node.attrs)
    return result
