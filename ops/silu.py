"""silu: x times its sigmoid (swish).

Maths: z = x σ(x); dz/dx = σ(x)(1 + x(1 - σ(x))). Shapes: any. Cost: elementwise, one pass over
memory.
Errors: DTypeError for anything but floating-point numbers.
"""

from __future__ import annotations

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import floating
from tinygrad_tx.ops.samples import elementwise, normal


def partials(b: Builder, node: Node) -> tuple[Node | None]:
    (x,) = node.inputs
    s = b.sigmoid(x)
    return (b.multiply(s, b.add(1, b.multiply(x, b.subtract(1, s)))),)


def expand(b: Builder, node: Node) -> Node:
    (x,) = node.inputs
    result: Node = b.multiply(x, b.sigmoid(x))
    return result


register(
    Operator(
        "silu",
        infer=floating,
        partials=partials,
        expand=expand,
        emit=lambda dtype, x: f"silu{dtype.itemsize * 8}({x})",
        inplace=(0,),
        row=TestRow(elementwise(normal)),
        formula="x σ(x)",
    )
)
