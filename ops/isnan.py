"""isnan: whether x is not a number.

Maths: z = (x != x). Shapes: equal (the Builder broadcasts). The result is bool and has no gradient.
"""

from __future__ import annotations

import numpy as np

from tinygrad_tx.graph.node import Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import floating_test
from tinygrad_tx.ops.samples import elementwise, one_of

register(
    Operator(
        "isnan",
        infer=floating_test,
        ufunc=np.isnan,
        emit=lambda dtype, x: f"({x} != {x})",
        row=TestRow(elementwise(one_of(np.nan, np.inf, -np.inf, 1.0))),
        formula="x is NaN",
    )
)
