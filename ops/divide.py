"""divide: elementwise quotient.

Maths: z = x / y; dz/dx = 1/y, dz/dy = -z/y. Shapes: equal (the Builder broadcasts). Cost:
elementwise, one pass over memory.
Errors: ShapeError and DTypeError where the operands differ.
"""

from __future__ import annotations

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import floating
from tinygrad_tx.ops.samples import away_from_zero, elementwise, normal


def partials(b: Builder, node: Node) -> tuple[Node | None, Node | None]:
    x, y = node.inputs
    return b.reciprocal(y), b.negative(b.divide(node, y))


register(
    Operator(
        "divide",
        infer=floating,
        partials=partials,
        ufunc=np.divide,
        emit=lambda dtype, x, y: f"({x} / {y})",
        inplace=(0, 1),
        row=TestRow(elementwise(normal, away_from_zero)),
        formula="x / y",
    )
)
