"""scatter_add: updates added into zeros at integer indices of an axis; equal indices add up.

Shapes: updates (..., *indices.shape, ...), indices -> (..., size, ...). The transpose of take.
Errors: IndexRangeError, DTypeError, ShapeError.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import float32, int64
from tinygrad_tx.errors import Rejected, ShapeError
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.lowering import Lowering, shares_of
from tinygrad_tx.graph.node import Aval, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import check_indices, check_range
from tinygrad_tx.ops.kernels.kernel import BAD_INDEX, floats, int64s, kernel, report, share
from tinygrad_tx.shapes import size_of

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


@kernel("scatter_add")
def run(ith: int, nth: int, operands: Any, arena: int) -> None:
    """Operands: count, width, size, updates, indices, z, tag.

    Columns are shared out, not rows: equal indices never meet, and add up in their order.
    """
    count, width, size = operands[0], operands[1], operands[2]
    indices = int64s(operands[4], count)
    low, high = share(width, ith, nth)
    for row in range(size):
        target = floats(operands[5] + 4 * (row * width + low), high - low)
        for j in range(high - low):
            target[j] = np.float32(0)
    for i in range(count):
        index = indices[i]
        if index < -size or index >= size:
            report(arena, BAD_INDEX, operands[6], index)
            continue
        index = index + size if index < 0 else index
        target = floats(operands[5] + 4 * (index * width + low), high - low)
        source = floats(operands[3] + 4 * (i * width + low), high - low)
        for j in range(high - low):
            target[j] += source[j]


def fits(node: Node) -> bool:
    """Rows of a table: the first axis of float32, int64 indices."""
    _, indices = node.inputs
    return (node.dtype, indices.dtype, node.attrs["axis"]) == (float32, int64, 0)


def lower(lowering: Lowering, node: Node) -> None:
    (updates, indices), (z,) = lowering.reads, lowering.writes
    size = z.shape[0]
    width = size_of(z.shape[1:])
    if z.size:
        shares = shares_of(updates.size + z.size, 16384, width // 16)
        operands = (updates, indices, z, lowering.tag)
        lowering.call(run, indices.size, width, size, *operands, shares=shares)


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
        lower=lower,
        fits=fits,
        row=TestRow(samples),
        formula="z[i] += u",
    )
)
