"""bitwise_left_shift: the bits of x moved up by y places.

Maths: z = x << y, of integers; y from 0 to the number of bits - 1, as in C: another y gives any
number. Shapes: equal (the Builder broadcasts). The result has no gradient. Errors: ShapeError and
DTypeError where the operands differ or are no integers.
"""

from __future__ import annotations

import numpy as np

from tinygrad_tx.graph.node import Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import integers
from tinygrad_tx.ops.samples import elementwise, integers_from

register(
    Operator(
        "bitwise_left_shift",
        infer=integers,
        ufunc=np.left_shift,
        emit=lambda dtype, x, y: f"({x} << {y})",
        inplace=(0, 1),
        row=TestRow(elementwise(integers_from(-9, 9), integers_from(0, 9))),
        formula="x << y",
    )
)
