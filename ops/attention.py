"""attention: softmax(q k^T scale) v for each head, without ever storing queries x keys.

Shapes: q (..., heads, queries, width), k and v (..., heads, keys, width) -> out like q, and the
log-sum-exp of the scaled scores (..., heads, queries). Causal: query i sees keys up to
i + keys - queries. Source: Vaswani et al. 2017, equation 1; tiles after Dao et al. 2022.
Cost: 4 queries keys width FLOPs a head, half of it when causal. Errors: ShapeError, DTypeError.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import float32
from tinygrad_tx.errors import Rejected, ShapeError
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.lowering import Lowering, shares_of
from tinygrad_tx.graph.node import Aval, Cost, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import floating
from tinygrad_tx.ops.kernels.flash import (
    QUERY_ROWS,
    WORK_OF_A_SHARE,
    fits_heads,
    matrix_view,
    padded,
    score_tiles,
    scratch_floats,
    scratch_size,
    visible,
)
from tinygrad_tx.ops.kernels.gemm import TILE_COLUMNS, TILE_ROWS, pack_columns, tile
from tinygrad_tx.ops.kernels.kernel import as_float, floats, kernel, share
from tinygrad_tx.ops.kernels.rowwise import row_max, row_sum
from tinygrad_tx.ops.kernels.vecmath import exp32, log32


def infer(q: Aval, k: Aval, v: Aval, causal: bool, scale: float) -> tuple[Aval, Aval]:
    del scale
    for x in (q, k, v):
        if len(x.shape) < 3:
            raise Rejected(ShapeError, f"needs (..., heads, time, width), got {x.shape}")
        floating(x, Aval(x.shape, q.dtype))
    if k.shape != v.shape or q.shape[:-2] != k.shape[:-2] or q.shape[-1] != k.shape[-1]:
        raise Rejected(ShapeError, f"q {q.shape}, k {k.shape}, v {v.shape} do not belong together")
    if causal and q.shape[-2] > k.shape[-2]:
        what = f"causal with more queries ({q.shape[-2]}) than keys ({k.shape[-2]})"
        raise Rejected(ShapeError, what)
    return q, Aval(q.shape[:-1], q.dtype)


def expand(b: Builder, node: Node) -> tuple[Node, Node]:
    q, k, v = node.inputs
    n = len(q.shape)
    turned = b.permute_dims(k, axes=(*range(n - 2), n - 1, n - 2))
    scores = b.multiply(b.matmul(q, turned), node.attrs["scale"])  # (..., queries, keys)
    if node.attrs["causal"]:
        shape = scores.shape
        row = b.iota(shape=shape, axis=n - 2, dtype=np.dtype(np.int64))
        column = b.iota(shape=shape, axis=n - 1, dtype=np.dtype(np.int64))
        seen = b.less_equal(column, b.add(row, shape[-1] - shape[-2]))
        scores = b.where(seen, scores, b.full(shape, float("-inf"), q.dtype))
    scores = b.point(scores, name="scores")
    top = b.stop_gradient(b.max(scores, axes=(n - 1,), keepdims=True))
    powers = b.exp(b.subtract(scores, top))
    total = b.sum(powers, axes=(n - 1,), keepdims=True)
    pattern = b.point(b.divide(powers, total), name="pattern")
    lse = b.reshape(b.add(b.log(total), top), shape=q.shape[:-1])
    return b.point(b.matmul(pattern, v), name="context"), lse


def gradient(b: Builder, node: Node, dout: Node | None, dlse: Node | None) -> tuple[Node, ...]:
    q, k, v = node.inputs
    out, lse = b.apply(node.op, *node.inputs, **node.attrs)
    dout = dout if dout is not None else b.full(q.shape, 0, q.dtype)
    dlse = dlse if dlse is not None else b.full(q.shape[:-1], 0, q.dtype)
    found: tuple[Node, ...] = b.attention_gradient(q, k, v, out, lse, dout, dlse, **node.attrs)
    return found


@kernel("attention")
def run(ith: int, nth: int, operands: Any, arena: int) -> None:
    """A head at a time, QUERY_ROWS queries at a time: scores, softmax, weighted sum of values.

    Operands: tasks, heads, queries, keys, width, causal, scale; views of q, k, v and out (address,
    strides in bytes of batch, head, time); lse; scratch.
    """
    heads, queries, keys, width = operands[1], operands[2], operands[3], operands[4]
    offset = keys - queries
    scale = np.float32(as_float(operands[6]))
    wide = padded(keys)
    kt = operands[24] + 4 * ith * scratch_floats(keys, width)
    s = kt + 4 * width * wide
    low, high = share(operands[0], ith, nth)
    for task in range(low, high):
        batch, head = task // heads, task % heads
        q = operands[7] + batch * operands[8] + head * operands[9]
        k = operands[11] + batch * operands[12] + head * operands[13]
        v = operands[15] + batch * operands[16] + head * operands[17]
        out = operands[19] + batch * operands[20] + head * operands[21]
        lse = floats(operands[23] + 4 * task * queries, queries)
        for n0 in range(0, keys, TILE_COLUMNS):
            columns = min(TILE_COLUMNS, keys - n0)
            pack_columns(
                k + n0 * operands[14], 4, operands[14], width, columns, kt + 4 * n0 * width
            )
        for q0 in range(0, queries, QUERY_ROWS):
            q1 = min(queries, q0 + QUERY_ROWS)
            score_tiles(q, operands[10], kt, width, q0, q1, keys, offset, operands[5], s, wide)
            for i in range(q0, q1):
                n = visible(i, keys, offset, operands[5])
                row = s + 4 * (i - q0) * wide
                x = floats(row, n)
                top = row_max(row, n)
                for j in range(n):
                    x[j] = exp32((x[j] - top) * scale)
                total = row_sum(row, n)
                inverse = np.float32(1) / total
                for j in range(n):
                    x[j] *= inverse
                rest = floats(row + 4 * n, TILE_ROWS)
                for j in range(TILE_ROWS):
                    rest[j] = np.float32(0)
                lse[i] = top * scale + log32(total)
            for m in range(q0, q1, TILE_ROWS):
                rows = min(TILE_ROWS, q1 - m)
                depth = visible(m + rows - 1, keys, offset, operands[5])
                for n0 in range(0, width, TILE_COLUMNS):
                    tile(
                        depth,
                        s + 4 * (m - q0) * wide,
                        4 * wide,
                        4,
                        v + 4 * n0,
                        operands[18],
                        out + m * operands[22] + 4 * n0,
                        operands[22],
                        rows,
                        0,
                    )


def fits(node: Node) -> bool:
    q, k = node.inputs[:2]
    return node.dtype == float32 and fits_heads(q.shape, k.shape)


def lower(lowering: Lowering, node: Node) -> None:
    (q, k, v), (out, lse) = lowering.reads, lowering.writes
    queries, width = q.shape[-2:]
    keys = k.shape[-2]
    heads = q.shape[-3]
    tasks = q.size // (queries * width)
    shares = shares_of(tasks * queries * keys * width, WORK_OF_A_SHARE, tasks)
    scratch = lowering.workspace(shares * scratch_size(keys, width))
    sizes = (tasks, heads, queries, keys, width, int(node.attrs["causal"]))
    views = [o for x in (q, k, v, out) for o in matrix_view(x)]
    lowering.call(run, *sizes, float(node.attrs["scale"]), *views, lse, scratch, shares=shares)


def cost(node: Node) -> Cost:
    q, k = node.inputs[:2]
    flops = 4 * q.aval.size * k.shape[-2] // (2 if node.attrs["causal"] else 1)
    return Cost(flops, 2 * (q.aval.nbytes + k.aval.nbytes))


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for leading, queries, keys, width, causal in (
        ((2,), 3, 3, 4, True),
        ((1, 2), 3, 5, 2, False),
        ((2, 2), 2, 4, 32, True),
        ((1,), 70, 70, 64, True),
        ((1,), 5, 33, 32, False),
    ):
        q = rng.normal(size=(*leading, queries, width))
        k, v = (rng.normal(size=(*leading, keys, width)) for _ in range(2))
        yield Sample((q, k, v), {"causal": causal, "scale": width**-0.5}, nan=not causal)


register(
    Operator(
        "attention",
        infer=infer,
        gradient=gradient,
        expand=expand,
        lower=lower,
        fits=fits,
        reads="matrix",
        writes="matrix",
        cost=cost,
        row=TestRow(samples, tolerance=5e-6),
        formula="softmax(q kᵀ s) v",
    )
)
