"""Attention opened for a picture: the products, the scale, the mask and the softmax inside it."""

from __future__ import annotations

from collections.abc import Sequence

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, make_node
from tinygrad_tx.graph.walk import rewrite
from tinygrad_tx.ops.attending import dropped, masked, repeated, turned
from tinygrad_tx.viz.names import Opened, components, inside_attention, stands_open

__all__ = ["open_attention"]


def open_attention(outputs: Sequence[Node], opened: Opened) -> tuple[Node, ...]:
    """The graph with each attention taken apart that `opened` names, or has the depth for.

    After figure 2 of Vaswani et al. 2017. What it gives to the backward pass is left out.
    """

    def rule(b: Builder, node: Node) -> Node | None:
        del b
        if node.op.name != "part" or node.inputs[0].op.name != "attention":
            return None
        inner = node.inputs[0]
        path = components(inside_attention(inner.scope))
        is_open = node.attrs["index"] == 0 and stands_open(opened, path)
        return _taken_apart(inner) if is_open else None

    return rewrite(outputs, rule)


def _taken_apart(node: Node) -> Node:
    q, k, v = node.inputs[:3]
    b = Builder(inside_attention(node.scope), node.where)
    scores = _named(b.matmul(q, turned(b, repeated(b, k, q.shape[-3]))), "scores")
    scores = _named(b.multiply(scores, node.attrs["scale"]), "scale")
    if node.attrs["extras"] % 2:
        scores = _named(b.add(scores, node.inputs[-node.attrs["extras"]]), "bias")
    if node.attrs["causal"]:
        scores = _named(masked(b, scores), "mask")
    pattern = _named(b.softmax(scores), "pattern")
    weights = dropped(b, node, pattern)
    return _named(b.matmul(weights, repeated(b, v, q.shape[-3])), "context")


def _named(node: Node, name: str) -> Node:
    """The same node under a name that the picture shows."""
    return make_node(node.op, node.inputs, node.attrs, node.outputs, node.scope, name, node.where)
