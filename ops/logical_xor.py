"""logical_xor: x != y of truth values.

Maths: z = x != y. Shapes: equal (the Builder broadcasts). The result is bool and has no gradient.
"""

from __future__ import annotations

import numpy as np

from tinygrad_tx.graph.node import Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import logical
from tinygrad_tx.ops.samples import booleans, elementwise

register(
    Operator(
        "logical_xor",
        infer=logical,
        ufunc=np.logical_xor,
        emit=lambda dtype, x, y: f"({x} != {y})",
        row=TestRow(elementwise(booleans, booleans)),
        formula="x != y",
    )
)
