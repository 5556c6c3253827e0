"""bitwise_invert: every bit turned around.

Maths: z = ~x = -x - 1, of integers; of truth values see logical_not. Shapes: any. The result has no
gradient. Errors: DTypeError for anything but integers.
"""

from __future__ import annotations

import numpy as np

from tinygrad_tx.graph.node import Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import integers
from tinygrad_tx.ops.samples import elementwise, integers_from

register(
    Operator(
        "bitwise_invert",
        infer=integers,
        ufunc=np.invert,
        emit=lambda dtype, x: f"(~{x})",
        inplace=(0,),
        row=TestRow(elementwise(integers_from(-9, 9))),
        formula="~x",
    )
)
