"""equal: whether x == y.

Maths: z = (x == y), false for NaN. Shapes: equal (the Builder broadcasts). The result is bool and
has no gradient.
"""

from __future__ import annotations

import numpy as np

from tinygrad_tx.graph.node import Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import comparison
from tinygrad_tx.ops.samples import elementwise, few_values

register(
    Operator(
        "equal",
        infer=comparison,
        ufunc=np.equal,
        emit=lambda dtype, x, y: f"({x} == {y})",
        row=TestRow(elementwise(few_values, few_values)),
        formula="x == y",
    )
)
