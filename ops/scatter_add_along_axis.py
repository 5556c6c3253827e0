"""scatter_add_along_axis: each update added into zeros at its own index along an axis.

Shapes: updates and indices alike -> `size` at `axis`. The transpose of take_along_axis.
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
    if updates.shape != indices.shape:
        raise Rejected(ShapeError, f"updates {updates.shape} and indices {indices.shape} differ")
    shape = (*updates.shape[:axis], size, *updates.shape[axis + 1 :])
    return Aval(shape, updates.dtype)


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node, None]:
    return b.take_along_axis(cotangent, node.inputs[1], axis=node.attrs["axis"]), None


def reference(updates: Array, indices: Array, axis: int, size: int) -> Array:
    check_range("scatter_add_along_axis", indices, size)
    result = np.zeros((*updates.shape[:axis], size, *updates.shape[axis + 1 :]), updates.dtype)
    places: list[Array] = list(np.indices(indices.shape, sparse=True))
    places[axis] = indices
    np.add.at(result, tuple(places), updates)
    return result


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, axis in (((5,), 0), ((4, 3), 1), ((2, 3), 0)):
        indices = rng.integers(-4, 4, size=shape)
        yield Sample((rng.normal(size=shape), indices), {"axis": axis, "size": 4})


register(
    Operator(
        "scatter_add_along_axis",
        infer=infer,
        linear_in=(0,),
        gradient=gradient,
        reference=reference,
        row=TestRow(samples),
        formula="z[i, index[i, j]] += u[i, j]",
    )
)
