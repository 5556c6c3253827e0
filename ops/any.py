"""any: whether any element is true.

Maths: z = or of x. `axes` are sorted and not negative; none of them leaves x as it is.
Cost: one pass over x. Errors: see the message of each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_tx.graph.node import Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import logical_over_axes
from tinygrad_tx.ops.samples import booleans, over_axes


def reference(x: np.ndarray[Any, Any], axes: tuple[int, ...], keepdims: bool) -> Any:
    return np.any(x, axis=axes, keepdims=keepdims)


register(
    Operator(
        "any",
        infer=logical_over_axes,
        reference=reference,
        row=TestRow(over_axes(booleans)),
        formula="∨ x",
    )
)
