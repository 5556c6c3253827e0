"""stop_gradient: the same value, taken as a constant by differentiation."""

from __future__ import annotations

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Aval, Node, Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.samples import elementwise, normal
from tinygrad_tx.shapes import Shape


def infer(x: Aval) -> Aval:
    return x


def partials(b: Builder, node: Node) -> tuple[None]:
    del b, node
    return (None,)


def view(node: Node, strides: Shape, index: int) -> tuple[int, Shape]:
    del node, index
    return 0, strides


register(
    Operator(
        "stop_gradient",
        infer=infer,
        partials=partials,
        reference=lambda x: x,
        view=view,
        unview=lambda node, strides: strides,
        row=TestRow(elementwise(normal)),
        formula="x",
    )
)
