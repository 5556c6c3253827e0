"""take: the elements of an axis at integer indices.

Shapes: x (..., n, ...), indices of any shape -> the axis replaced by the shape of the indices.
Negative indices count from the end. Its gradient is scatter_add. Errors: IndexRangeError, DTypeError.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Aval, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import check_indices, check_range

Array = np.ndarray[Any, Any]


def infer(x: Aval, indices: Aval, axis: int) -> Aval:
    check_indices(indices)
    return Aval((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x.dtype)


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node, None]:
    x, indices = node.inputs
    axis = node.attrs["axis"]
    return b.scatter_add(cotangent, indices, axis=axis, size=x.shape[axis]), None


def reference(x: Array, indices: Array, axis: int) -> Array:
    check_range("take", indices, x.shape[axis])
    return np.take(x, indices, axis)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, chosen, axis in (((5,), (3,), 0), ((4, 3), (2, 2), 0), ((2, 3), (), 1)):
        indices = rng.integers(-shape[axis], shape[axis], size=chosen)
        yield Sample((rng.normal(size=shape), indices), {"axis": axis})


register(
    Operator(
        "take",
        infer=infer,
        linear_in=(0,),
        gradient=gradient,
        reference=reference,
        row=TestRow(samples),
        formula="x[i]",
    )
)
