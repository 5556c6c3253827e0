"""write_rows: a cache of keys or values with new rows behind those that are there.

Maths: z = x but z[b, :, n_b + i] = rows[b, :, i], where n_b is how many sequence b has already.
Shapes: x (batch, heads, context, width), rows (batch, heads, time, width), lengths (batch,) int64
-> like x. Rows that would stand beyond the context are left out. Where x is state and the result
its new value, only the new rows are written. Cost: the new rows, or one pass over x.
Errors: ShapeError, DTypeError; IndexRangeError for a negative length.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import float32, int64
from tinygrad_tx.errors import DTypeError, IndexRangeError, Rejected, ShapeError, explain
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.lowering import Lowering
from tinygrad_tx.graph.node import Aval, Cost, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.kernels.kernel import BAD_INDEX, floats, int64s, kernel, report

Array = np.ndarray[Any, Any]


def infer(x: Aval, rows: Aval, lengths: Aval) -> Aval:
    alike = len(x.shape) == len(rows.shape) == 4 and all(
        x.shape[i] == rows.shape[i] for i in (0, 1, 3)
    )
    if not alike or lengths.shape != x.shape[:1]:
        what = f"cache {x.shape}, rows {rows.shape} and lengths {lengths.shape}"
        remedy = "(batch, heads, context, width), (batch, heads, time, width) and (batch,)"
        raise Rejected(ShapeError, f"{what} do not belong together", remedy)
    if x.dtype != rows.dtype or lengths.dtype != int64:
        what = f"cache {x.dtype}, rows {rows.dtype}, lengths {lengths.dtype}"
        raise Rejected(DTypeError, what, "lengths are int64, the others alike")
    return x


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node, Node, None]:
    x, rows, lengths = node.inputs
    nothing = b.full(rows.shape, 0, rows.dtype)
    batch, context = rows.shape[0], x.shape[2]
    first = b.reshape(lengths, shape=(batch, 1, 1, 1))
    places = b.add(b.iota(shape=rows.shape, axis=2, dtype=int64), first)
    inside = b.less(places, context)
    chosen = b.where(inside, places, b.full(rows.shape, 0, int64))
    read = b.take_along_axis(cotangent, chosen, axis=2)
    return (
        b.write_rows(cotangent, nothing, lengths),
        b.where(inside, read, nothing),
        None,
    )


def reference(x: Array, rows: Array, lengths: Array) -> Array:
    bad = lengths[(lengths < 0) | (lengths > x.shape[2])]
    if bad.size:
        what = f"length {bad[0]} is not from 0 to the context, {x.shape[2]}"
        raise IndexRangeError(explain("write_rows", what))
    result = x.copy()
    for b, length in enumerate(lengths):
        count = min(rows.shape[2], x.shape[2] - int(length))
        result[b, :, length : length + count] = rows[b, :, :count]
    return result


@kernel("write_rows")
def run(ith: int, nth: int, operands: Any, arena: int) -> None:
    """Operands: batch, heads, time, width, context, rows with strides in bytes of batch, head and
    time, lengths, z with strides of batch and head, tag."""
    batch, heads, time, width, context = (
        operands[0],
        operands[1],
        operands[2],
        operands[3],
        operands[4],
    )
    lengths = int64s(operands[9], batch)
    for b in range(batch):
        length = lengths[b]
        if length < 0 or length > context:
            report(arena, BAD_INDEX, operands[13], length)
            continue
        count = min(time, context - length)
        for h in range(heads):
            source = operands[5] + b * operands[6] + h * operands[7]
            target = operands[10] + b * operands[11] + h * operands[12] + 4 * length * width
            for i in range(count):
                x = floats(source + i * operands[8], width)
                z = floats(target + 4 * i * width, width)
                for j in range(width):
                    z[j] = x[j]


def fits(node: Node) -> bool:
    return node.dtype == float32


def lower(lowering: Lowering, node: Node) -> None:
    (x, rows, lengths), (z,) = lowering.reads, lowering.writes
    lowering.copy(x, z)
    batch, heads, time, width = rows.shape
    strides = (4 * s for s in rows.strides[:3])
    sizes = (batch, heads, time, width, x.shape[2])
    into = (z, 4 * z.strides[0], 4 * z.strides[1])
    if rows.size:
        lowering.call(run, *sizes, rows, *strides, lengths, *into, lowering.tag)


def cost(node: Node) -> Cost:
    return Cost(0, 2 * node.inputs[1].aval.nbytes)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for batch, context, time, width, lengths in (
        (1, 4, 1, 3, [2]),
        (2, 5, 2, 2, [0, 3]),
        (2, 3, 2, 1, [2, 3]),
    ):
        x = rng.normal(size=(batch, 2, context, width))
        rows = rng.normal(size=(batch, 2, time, width))
        yield Sample((x, rows, np.asarray(lengths)), nan=False)


register(
    Operator(
        "write_rows",
        infer=infer,
        linear_in=(0, 1),
        jointly_linear=True,
        gradient=gradient,
        reference=reference,
        lower=lower,
        fits=fits,
        reads=("contiguous", "matrix", "contiguous"),
        inplace=(0,),
        cost=cost,
        row=TestRow(samples),
        formula="z[n + i] = rowsᵢ, else x",
    )
)
