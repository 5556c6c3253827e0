"""signbit: whether the sign is set; also that of -0.0 and of a NaN.

Maths: z = (sign bit of x). Shapes: any. The result is bool and has no gradient.
Errors: DTypeError for anything but floating-point numbers.
"""

from __future__ import annotations

import numpy as np

from tinygrad_tx.graph.node import Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import floating_test
from tinygrad_tx.ops.samples import elementwise, normal

register(
    Operator(
        "signbit",
        infer=floating_test,
        ufunc=np.signbit,
        emit=lambda dtype, x: f"np.signbit({x})",
        row=TestRow(elementwise(normal, nan=False)),
        formula="sign bit of x",
    )
)
