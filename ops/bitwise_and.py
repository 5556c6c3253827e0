"""bitwise_and: the bits that both have.

Maths: z = x & y, of integers; of truth values see logical_and. Shapes: equal (the Builder
broadcasts). The result has no gradient. Errors: ShapeError and DTypeError where the operands differ
or are no integers.
"""

from __future__ import annotations

import numpy as np

from tinygrad_tx.graph.node import Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import integers
from tinygrad_tx.ops.samples import elementwise, integers_from

register(
    Operator(
        "bitwise_and",
        infer=integers,
        ufunc=np.bitwise_and,
        emit=lambda dtype, x, y: f"({x} & {y})",
        inplace=(0, 1),
        row=TestRow(elementwise(integers_from(-9, 9), integers_from(-9, 9))),
        formula="x & y",
    )
)
