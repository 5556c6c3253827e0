"""sum: the sum over axes.

Maths: z = sum x; dz/dx = 1. `axes` are sorted and not negative; none of them leaves x as it is.
Cost: one pass over x. Errors: see the message of each.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import float32
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.lowering import Lowering, shares_of
from tinygrad_tx.graph.node import Node, Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import keep, total
from tinygrad_tx.ops.kernels.kernel import floats, kernel, share
from tinygrad_tx.ops.kernels.rowwise import row_sum
from tinygrad_tx.ops.samples import normal, over_axes
from tinygrad_tx.shapes import size_of

PIECE = 4096


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node]:
    x = node.inputs[0]
    shaped = b.reshape(cotangent, shape=keep(x.aval, node.attrs["axes"]))
    return (b.broadcast_to(shaped, x.shape),)


@kernel("sum.rows")
def sum_rows(ith: int, nth: int, operands: Any, arena: int) -> None:
    """The last axis away. Operands: outer, width, x, z. Rows of 4096 and more go in pieces, so
    that the error grows with the number of pieces and not of elements."""
    width = operands[1]
    result = floats(operands[3], operands[0])
    low, high = share(operands[0], ith, nth)
    for row in range(low, high):
        total = np.float32(0)
        at = operands[2] + 4 * row * width
        for start in range(0, width, PIECE):
            total += row_sum(at + 4 * start, min(PIECE, width - start))
        result[row] = total


@kernel("sum.columns")
def sum_columns(ith: int, nth: int, operands: Any, arena: int) -> None:
    """A middle axis away: x (outer, count, width) -> partial sums (outer, blocks, width).

    Operands: outer, count, width, x, partial, blocks. A block adds its rows in order.
    """
    count, width, blocks = operands[1], operands[2], operands[5]
    low, high = share(operands[0] * blocks, ith, nth)
    for task in range(low, high):
        total = floats(operands[4] + 4 * task * width, width)
        for j in range(width):
            total[j] = np.float32(0)
        first, last = share(count, task % blocks, blocks)
        for row in range(first, last):
            x = floats(operands[3] + 4 * (task // blocks * count + row) * width, width)
            for j in range(width):
                total[j] += x[j]


def _grouped(node: Node) -> tuple[int, int, int] | None:
    """The input as (outer, summed, inner), where the axes that go are neighbours."""
    shape, axes = node.inputs[0].shape, node.attrs["axes"]
    if not axes or axes != tuple(range(axes[0], axes[-1] + 1)):
        return None
    return (
        size_of(shape[: axes[0]]),
        size_of(shape[axes[0] : axes[-1] + 1]),
        size_of(shape[axes[-1] + 1 :]),
    )


def fits(node: Node) -> bool:
    x = node.inputs[0]
    return x.dtype == float32 and x.aval.size > 0 and _grouped(node) is not None


def lower(lowering: Lowering, node: Node) -> None:
    grouped = _grouped(node)
    assert grouped is not None
    outer, count, inner = grouped
    (x,), (z,) = lowering.reads, lowering.writes
    if inner == 1 and outer == 1 and count > 4 * PIECE:
        # All of a long vector: pieces first, so that shares have work, then their sum.
        pieces, rest = count // PIECE, count % PIECE
        partial = lowering.workspace(pieces + 1)
        lowering.call(sum_rows, pieces, PIECE, x, partial, shares=shares_of(pieces, 4))
        tail = replace(x, offset=x.offset + pieces * PIECE)
        lowering.call(sum_rows, 1, rest, tail, replace(partial, offset=pieces))
        lowering.call(sum_rows, 1, pieces + 1, partial, z)
    elif inner == 1:
        shares = shares_of(outer * count, 16384, outer)
        lowering.call(sum_rows, outer, count, x, z, shares=shares)
    else:
        blocks = shares_of(count * inner, 16384, count // 8)
        if blocks == 1:
            shares = shares_of(outer * count * inner, 16384, outer)
            lowering.call(sum_columns, outer, count, inner, x, z, 1, shares=shares)
        else:
            partial = lowering.workspace(outer * blocks * inner)
            shares = shares_of(outer * blocks, 1)
            lowering.call(sum_columns, outer, count, inner, x, partial, blocks, shares=shares)
            lowering.call(sum_columns, outer, blocks, inner, partial, z, 1)


def reference(x: np.ndarray[Any, Any], axes: tuple[int, ...], keepdims: bool) -> Any:
    return np.sum(x, axis=axes, keepdims=keepdims, dtype=None if x.dtype.kind == "f" else np.int64)


register(
    Operator(
        "sum",
        infer=total,
        linear_in=(0,),
        gradient=gradient,
        reference=reference,
        reduce="sum",
        lower=lower,
        fits=fits,
        row=TestRow(over_axes(normal)),
        formula="Σ x",
    )
)
