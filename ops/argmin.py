"""argmin: place of the smallest element along an axis; the first of equals, or the first NaN.

The result is int64 and has no gradient. Errors: ShapeError for an empty axis.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import int64
from tinygrad_tx.errors import Rejected, ShapeError
from tinygrad_tx.graph.node import Aval, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import numeric, reduced


def infer(x: Aval, axis: int, keepdims: bool) -> Aval:
    if x.shape[axis] == 0:
        raise Rejected(ShapeError, f"axis {axis} of {x.shape} is empty")
    return Aval(reduced(numeric(x), (axis,), keepdims), int64)


def reference(x: np.ndarray[Any, Any], axis: int, keepdims: bool) -> Any:
    return np.argmin(x, axis=axis, keepdims=keepdims)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, axis in (((3,), 0), ((2, 3), 1), ((2, 3), 0)):
        for keepdims in (False, True):
            yield Sample((rng.normal(size=shape),), {"axis": axis, "keepdims": keepdims})


register(
    Operator("argmin", infer=infer, reference=reference, row=TestRow(samples), formula="arg min x")
)
