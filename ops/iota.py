"""iota: 0, 1, 2, ... along one axis, the same along the others.

Errors: none; the tensor functions check. No gradient: integers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import DType, int64
from tinygrad_tx.graph.node import Aval, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.shapes import Shape


def infer(shape: Shape, axis: int, dtype: DType) -> Aval:
    del axis
    return Aval(shape, dtype)


def reference(shape: Shape, axis: int, dtype: DType) -> np.ndarray[Any, Any]:
    along = [1] * len(shape)
    along[axis] = shape[axis]
    return np.broadcast_to(np.arange(shape[axis], dtype=dtype).reshape(along), shape)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    del rng
    for shape, axis in (((3,), 0), ((2, 3), 1), ((0, 4), 0)):
        yield Sample((), {"shape": shape, "axis": axis, "dtype": int64})


register(
    Operator(
        "iota", infer=infer, reference=reference, row=TestRow(samples), formula="z[..., i, ...] = i"
    )
)
