"""copysign: the size of x with the sign of y.

Maths: z = |x| sign y; dz/dx = sign x sign y, dz/dy = 0. The sign of y counts for zeros and NaN.
Shapes: equal (the Builder broadcasts). Cost: elementwise, one pass over memory. Errors: ShapeError
and DTypeError where the operands differ.
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
    one = b.full(x.shape, 1, x.dtype)
    return b.multiply(b.sign(x), b.copysign(one, y)), None


register(
    Operator(
        "copysign",
        infer=floating,
        partials=partials,
        ufunc=np.copysign,
        emit=lambda dtype, x, y: f"np.copysign({x}, {y})",
        inplace=(0, 1),
        row=TestRow(elementwise(away_from_zero, away_from_zero)),
        formula="|x| sign y",
    )
)
