"""take: the elements of an axis at integer indices.

Shapes: x (..., n, ...), indices of any shape -> the axis replaced by the shape of the indices.
Negative indices count from the end where `wraps`; a token is no such index. Its gradient is
scatter_add. Errors: IndexRangeError, DTypeError.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import float32, int64
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.lowering import Lowering, shares_of
from tinygrad_tx.graph.node import Aval, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import check_indices, check_range
from tinygrad_tx.ops.kernels.kernel import BAD_INDEX, floats, int64s, kernel, report, share
from tinygrad_tx.shapes import size_of

Array = np.ndarray[Any, Any]


def infer(x: Aval, indices: Aval, axis: int, wraps: bool = True) -> Aval:
    del wraps
    check_indices(indices)
    return Aval((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x.dtype)


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node, None]:
    x, indices = node.inputs
    axis = node.attrs["axis"]
    return b.scatter_add(cotangent, indices, axis=axis, size=x.shape[axis]), None


def reference(x: Array, indices: Array, axis: int, wraps: bool = True) -> Array:
    check_range("take", indices, x.shape[axis], wraps)
    return np.take(x, indices, axis)


@kernel("take")
def run(ith: int, nth: int, operands: Any, arena: int) -> None:
    """Operands: count, width, size, x, indices, z, tag, the lowest index."""
    count, width, size = operands[0], operands[1], operands[2]
    indices = int64s(operands[4], count)
    low, high = share(count, ith, nth)
    for i in range(low, high):
        index = indices[i]
        if index < operands[7] or index >= size:
            report(arena, BAD_INDEX, operands[6], index)
            index = 0
        index = index + size if index < 0 else index
        source, target = (
            floats(operands[3] + 4 * index * width, width),
            floats(operands[5] + 4 * i * width, width),
        )
        for j in range(width):
            target[j] = source[j]


def fits(node: Node) -> bool:
    """Rows of a table: the first axis of float32, int64 indices."""
    x, indices = node.inputs
    return (node.dtype, indices.dtype, node.attrs["axis"]) == (float32, int64, 0) and x.shape[0] > 0


def lower(lowering: Lowering, node: Node) -> None:
    (x, indices), (z,) = lowering.reads, lowering.writes
    size = x.shape[0]
    width = size_of(x.shape[1:])
    if z.size:
        shares = shares_of(z.size, 16384, indices.size)
        lowest = -size if node.attrs.get("wraps", True) else 0
        given = (indices.size, width, size, x, indices, z, lowering.tag, lowest)
        lowering.call(run, *given, shares=shares)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, chosen, axis in (((5,), (3,), 0), ((4, 3), (2, 2), 0), ((2, 3), (), 1)):
        indices = rng.integers(-shape[axis], shape[axis], size=chosen)
        yield Sample((rng.normal(size=shape), indices), {"axis": axis})
    tokens = rng.integers(0, 4, size=(2, 3))
    yield Sample((rng.normal(size=(4, 3)), tokens), {"axis": 0, "wraps": False})


register(
    Operator(
        "take",
        infer=infer,
        linear_in=(0,),
        gradient=gradient,
        reference=reference,
        lower=lower,
        fits=fits,
        row=TestRow(samples),
        formula="x[i]",
    )
)
