"""take_along_axis: for each place the element at its own index along an axis.

Shapes: x and indices alike but for `axis`. Its gradient is scatter_add_along_axis.
Errors: IndexRangeError, DTypeError, ShapeError.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_tx.errors import Rejected, ShapeError
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Aval, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import check_indices, check_range

Array = np.ndarray[Any, Any]


def infer(x: Aval, indices: Aval, axis: int) -> Aval:
    check_indices(indices)
    expected = (*x.shape[:axis], indices.shape[axis], *x.shape[axis + 1 :])
    if indices.shape != expected:
        what = f"indices {indices.shape} must be like x {x.shape} but for axis {axis}"
        raise Rejected(ShapeError, what)
    return Aval(indices.shape, x.dtype)


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node, None]:
    x, indices = node.inputs
    axis = node.attrs["axis"]
    return b.scatter_add_along_axis(cotangent, indices, axis=axis, size=x.shape[axis]), None


def reference(x: Array, indices: Array, axis: int) -> Array:
    check_range("take_along_axis", indices, x.shape[axis])
    return np.take_along_axis(x, indices, axis)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, count, axis in (((5,), 3, 0), ((4, 3), 2, 1), ((2, 3), 4, 0)):
        chosen = tuple(count if i == axis else n for i, n in enumerate(shape))
        indices = rng.integers(-shape[axis], shape[axis], size=chosen)
        yield Sample((rng.normal(size=shape), indices), {"axis": axis})


register(
    Operator(
        "take_along_axis",
        infer=infer,
        linear_in=(0,),
        gradient=gradient,
        reference=reference,
        row=TestRow(samples),
        formula="x[i, index[i, j]]",
    )
)
