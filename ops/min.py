"""min: the smallest element over axes; NaN if one is there.

Maths: z = min x; dz/dx is shared evenly by the elements equal to z. `axes` are sorted and not
negative; none of them leaves x as it is.
Cost: one pass over x. Errors: see the message of each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_tx.graph.node import Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.extreme import gradient, infer, tangent
from tinygrad_tx.ops.samples import normal, over_axes


def reference(x: np.ndarray[Any, Any], axes: tuple[int, ...], keepdims: bool) -> Any:
    return np.min(x, axis=axes, keepdims=keepdims)


register(
    Operator(
        "min",
        infer=infer,
        gradient=gradient,
        tangent=tangent,
        reference=reference,
        reduce="min",
        row=TestRow(over_axes(normal, of_nothing=False)),
        formula="min x",
    )
)
