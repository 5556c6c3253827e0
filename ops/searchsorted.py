"""searchsorted: where numbers would go into a vector in rising order.

Shapes: rising (n,), x any -> int64 of the shape of x, from 0 to n. Left of equal elements, or right
of them where `right`. NaN counts as the largest. The result has no gradient. Cost: log n a number.
Errors: ShapeError where `rising` is no vector, DTypeError where the dtypes differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import int64
from tinygrad_tx.errors import DTypeError, Rejected, ShapeError
from tinygrad_tx.graph.node import Aval, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register

Array = np.ndarray[Any, Any]


def infer(rising: Aval, x: Aval, right: bool) -> Aval:
    del right
    if len(rising.shape) != 1:
        raise Rejected(ShapeError, f"looks into a vector, got {rising}")
    if rising.dtype != x.dtype:
        raise Rejected(DTypeError, f"dtypes differ: {rising.dtype} and {x.dtype}")
    return Aval(x.shape, int64)


def reference(rising: Array, x: Array, right: bool) -> Array:
    places = np.searchsorted(rising, x, side="right" if right else "left")
    return np.asarray(places, np.int64)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((), (3,), (2, 3), (0, 4)):
        for right in (False, True):
            rising = np.sort(rng.integers(0, 5, size=6))
            yield Sample((rising, rng.integers(-1, 6, size=shape)), {"right": right})


register(
    Operator(
        "searchsorted",
        infer=infer,
        reference=reference,
        row=TestRow(samples),
        formula="place of x in rising numbers",
    )
)
