"""barrier: the value of x, not to be computed before `after` is.

Recomputation in the backward pass stands behind one, so that it is neither shared with the forward
pass nor run early. The gradient goes to x alone.
"""

from __future__ import annotations

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Aval, Node, Operator
from tinygrad_tx.graph.registry import register
from tinygrad_tx.shapes import Shape


def infer(x: Aval, after: Aval) -> Aval:
    del after
    return x


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node, None]:
    del b, node
    return cotangent, None


def tangent(b: Builder, node: Node, x: Node | None, after: Node | None) -> Node | None:
    del b, node, after
    return x


def view(node: Node, strides: Shape, index: int) -> tuple[int, Shape]:
    del node, index
    return 0, strides


register(
    Operator(
        "barrier",
        infer=infer,
        gradient=gradient,
        tangent=tangent,
        reference=lambda x, after: x,
        view=view,
        formula="x",
    )
)
