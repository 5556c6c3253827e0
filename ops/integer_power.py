"""integer_power: x to the y of integers, round the end of the dtype as in C.

Maths: z = x^y, y >= 0. Shapes: equal (the caller broadcasts). The result has no gradient.
Errors: DTypeError where the operands differ or are no integers; DTypeError for y < 0, whose result
is no integer.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_tx.errors import DTypeError, explain
from tinygrad_tx.graph.node import Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import integers
from tinygrad_tx.ops.samples import elementwise, integers_from

Array = np.ndarray[Any, Any]


def reference(x: Array, y: Array) -> Array:
    if (y < 0).any():
        what = f"an integer to the power {y[y < 0].flat[0]} is no integer"
        raise DTypeError(explain("power", what, remedy="use astype(float32) first"))
    result: Array = np.power(x, y)
    return result


register(
    Operator(
        "integer_power",
        infer=integers,
        reference=reference,
        row=TestRow(elementwise(integers_from(-5, 5), integers_from(0, 5))),
        formula="xʸ",
    )
)
