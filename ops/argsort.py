"""argsort: the places of the elements along an axis in rising (or falling) order.

Equal elements keep their order, both ways. NaN counts as larger than everything, as in NumPy: last
in rising order, first in falling. The result is int64 and has no gradient. Errors: none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import int64
from tinygrad_tx.graph.node import Aval, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register

Array = np.ndarray[Any, Any]


def infer(x: Aval, axis: int, descending: bool) -> Aval:
    del axis, descending
    return Aval(x.shape, int64)


def reference(x: Array, axis: int, descending: bool) -> Array:
    if not descending:
        return np.argsort(x, axis=axis, kind="stable")
    # Sorted from the other end and turned around, equals keep their order.
    order = np.argsort(np.flip(x, axis), axis=axis, kind="stable")
    result: Array = x.shape[axis] - 1 - np.flip(order, axis)
    return result


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, axis in (((5,), 0), ((2, 3), 1), ((4, 2, 3), 0), ((0, 2), 0)):
        for descending in (False, True):
            yield Sample(
                (rng.integers(0, 3, size=shape),), {"axis": axis, "descending": descending}
            )
    yield Sample((rng.normal(size=(3, 4)),), {"axis": 1, "descending": True})


register(
    Operator(
        "argsort", infer=infer, reference=reference, row=TestRow(samples), formula="sorting places"
    )
)
