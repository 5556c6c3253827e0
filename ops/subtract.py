"""subtract: elementwise difference.

Maths: z = x - y; dz/dx = 1, dz/dy = -1. Shapes: equal (the Builder broadcasts). Cost: elementwise,
one pass over memory.
Errors: ShapeError and DTypeError where the operands differ.
"""

from __future__ import annotations

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import numeric
from tinygrad_tx.ops.samples import elementwise, normal


def partials(b: Builder, node: Node) -> tuple[Node | None, Node | None]:
    x, y = node.inputs
    return b.full(x.shape, 1, x.dtype), b.full(x.shape, -1, x.dtype)


register(
    Operator(
        "subtract",
        infer=numeric,
        partials=partials,
        ufunc=np.subtract,
        emit=lambda dtype, x, y: f"({x} - {y})",
        inplace=(0, 1),
        row=TestRow(elementwise(normal, normal)),
        formula="x - y",
    )
)
