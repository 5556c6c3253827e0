"""logical_not: the opposite truth value.

Maths: z = not x. Shapes: equal (the Builder broadcasts). The result is bool and has no gradient.
"""

from __future__ import annotations

import numpy as np

from tinygrad_tx.graph.node import Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import logical
from tinygrad_tx.ops.samples import booleans, elementwise

register(
    Operator(
        "logical_not",
        infer=logical,
        ufunc=np.logical_not,
        emit=lambda dtype, x: f"(not {x})",
        row=TestRow(elementwise(booleans)),
        formula="not x",
    )
)
