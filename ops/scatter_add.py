"""scatter_add: updates added into zeros at integer indices of an axis; equal indices add up.

Shapes: updates (..., *indices.shape, ...), indices -> (..., size, ...). The transpose of take.
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


def infer(updates: Aval, indices: Aval, axis: int, size: int) -> Aval:
    check_indices(indices)
    end = axis + len(indices.shape)
    if updates.shape[axis:end] != indices.shape:
        what = f"updates {updates.shape} do not hold indices {indices.shape} from axis {axis} on"
        raise Rejected(ShapeError, what)
    return Aval((*updates.shape[:axis], size, *updates.shape[end:]), updates.dtype)


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node, None]:
    return b.take(cotangent, node.inputs[1], axis=node.attrs["axis"]), None


def reference(updates: Array, indices: Array, axis: int, size: int) -> Array:
    check_range("scatter_add", indices, size)
    end = axis + indices.ndim
    result = np.zeros((size, *updates.shape[:axis], *updates.shape[end:]), updates.dtype)
    moved = np.moveaxis(updates, range(axis, end), range(indices.ndim))
    np.add.at(result, indices, moved)
    return np.moveaxis(result, 0, axis)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, chosen, axis in (((3,), (3,), 0), ((2, 2, 3), (2, 2), 0), ((2,), (), 1)):
        indices = rng.integers(-4, 4, size=chosen)
        yield Sample((rng.normal(size=shape), indices), {"axis": axis, "size": 4})


register(
    Operator(
        "scatter_add",
        infer=infer,
        linear_in=(0,),
        gradient=gradient,
        reference=reference,
        row=TestRow(samples),
        formula="z[i] += u",
    )
)
