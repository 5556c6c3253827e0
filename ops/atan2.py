"""atan2: the angle of the point (y, x), from -pi to pi.

Maths: z = atan2(x, y), so tan z = x / y in the quadrant of both signs; dz/dx = y / (x² + y²), dz/dy
= -x / (x² + y²). Shapes: equal (the Builder broadcasts). Cost: elementwise, one pass over memory.
Errors: ShapeError and DTypeError where the operands differ.
"""

from __future__ import annotations

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import floating
from tinygrad_tx.ops.samples import away_from_zero, elementwise


def partials(b: Builder, node: Node) -> tuple[Node | None, Node | None]:
    x, y = node.inputs
    square = b.add(b.square(x), b.square(y))
    return b.divide(y, square), b.negative(b.divide(x, square))


register(
    Operator(
        "atan2",
        infer=floating,
        partials=partials,
        ufunc=np.arctan2,
        emit=lambda dtype, x, y: f"np.arctan2({x}, {y})",
        inplace=(0, 1),
        row=TestRow(elementwise(away_from_zero, away_from_zero)),
        formula="atan2(x, y)",
    )
)
