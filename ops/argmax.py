"""argmax: place of the largest element along an axis; the first of equals, or the first NaN.

The result is int64 and has no gradient. Errors: ShapeError for an empty axis.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_tx.graph.node import Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import place_along
from tinygrad_tx.ops.samples import along_axis, normal


def reference(x: np.ndarray[Any, Any], axis: int, keepdims: bool) -> Any:
    return np.argmax(x, axis=axis, keepdims=keepdims)


register(
    Operator(
        "argmax",
        infer=place_along,
        reference=reference,
        row=TestRow(along_axis(normal)),
        formula="arg max x",
    )
)
