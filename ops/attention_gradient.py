"""attention_gradient: cotangents of q, k and v, from the saved log-sum-exp.

Maths: P = exp(q k^T s - lse), dP = dout v^T, D = rowsum(dout out) - dlse, dS = P (dP - D) s;
dq = dS k, dk = dS^T q, dv = P^T dout. Source: Dao et al. 2022, appendix B.
Shapes: q, out, dout (..., heads, queries, width), k, v (..., heads, keys, width), lse and dlse
(..., heads, queries) -> like q, k, v. Cost: 10 queries keys width FLOPs a head.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import float32
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.lowering import Lowering, shares_of
from tinygrad_tx.graph.node import Aval, Cost, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
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
from tinygrad_tx.ops.kernels.vecmath import exp32


def infer(
    q: Aval, k: Aval, v: Aval, out: Aval, lse: Aval, dout: Aval, dlse: Aval, **attrs: Any
) -> tuple[Aval, Aval, Aval]:
    del out, lse, dout, dlse, attrs
    return q, k, v


def expand(b: Builder, node: Node) -> tuple[Node, Node, Node]:
    q, k, v, out, lse, dout, dlse = node.inputs
    n, scale = len(q.shape), node.attrs["scale"]
    turn = (*range(n - 2), n - 1, n - 2)
    column = (*q.shape[:-1], 1)
    scores = b.multiply(b.matmul(q, b.permute_dims(k, axes=turn)), scale)
    pattern = b.exp(b.subtract(scores, b.reshape(lse, shape=column)))
    if node.attrs["causal"]:
        shape = scores.shape
        row = b.iota(shape=shape, axis=n - 2, dtype=np.dtype(np.int64))
        place = b.iota(shape=shape, axis=n - 1, dtype=np.dtype(np.int64))
        seen = b.less_equal(place, b.add(row, shape[-1] - shape[-2]))
        pattern = b.where(seen, pattern, b.full(shape, 0.0, q.dtype))
    dpattern = b.matmul(dout, b.permute_dims(v, axes=turn))
    along = b.sum(b.multiply(dout, out), axes=(n - 1,), keepdims=True)
    along = b.subtract(along, b.reshape(dlse, shape=column))
    dscores = b.multiply(b.multiply(pattern, b.subtract(dpattern, along)), scale)
    turned = b.permute_dims(dscores, axes=turn)
    dv = b.matmul(b.permute_dims(pattern, axes=turn), dout)
    return b.matmul(dscores, k), b.matmul(turned, q), dv


@kernel("attention_gradient")
def run(ith: int, nth: int, operands: Any, arena: int) -> None:
    """A head at a time; scores and their gradient are built again, a block of queries at a time.

    Operands: tasks, heads, queries, keys, width, causal, scale; views of q, k, v, out, dout, dq,
    dk, dv (address, strides in bytes of batch, head, time); lse, dlse, scratch.
    """
    heads, queries, keys, width = operands[1], operands[2], operands[3], operands[4]
    offset, causal = keys - queries, operands[5]
    scale = np.float32(as_float(operands[6]))
    wide = padded(keys)
    kt = operands[41] + 4 * ith * scratch_floats(keys, width)
    vt = kt + 4 * width * wide
    s = vt + 4 * width * wide
    d = s + 4 * QUERY_ROWS * wide
    low, high = share(operands[0], ith, nth)
    for task in range(low, high):
        batch, head = task // heads, task % heads
        q = operands[7] + batch * operands[8] + head * operands[9]
        k = operands[11] + batch * operands[12] + head * operands[13]
        v = operands[15] + batch * operands[16] + head * operands[17]
        out = operands[19] + batch * operands[20] + head * operands[21]
        dout = operands[23] + batch * operands[24] + head * operands[25]
        dq = operands[27] + batch * operands[28] + head * operands[29]
        dk = operands[31] + batch * operands[32] + head * operands[33]
        dv = operands[35] + batch * operands[36] + head * operands[37]
        lse = floats(operands[39] + 4 * task * queries, queries)
        dlse = floats(operands[40] + 4 * task * queries, queries)
        for n0 in range(0, keys, TILE_COLUMNS):
            columns, at = min(TILE_COLUMNS, keys - n0), 4 * n0 * width
            pack_columns(k + n0 * operands[14], 4, operands[14], width, columns, kt + at)
            pack_columns(v + n0 * operands[18], 4, operands[18], width, columns, vt + at)
        for q0 in range(0, queries, QUERY_ROWS):
            q1 = min(queries, q0 + QUERY_ROWS)
            score_tiles(q, operands[10], kt, width, q0, q1, keys, offset, causal, s, wide)
            score_tiles(dout, operands[26], vt, width, q0, q1, keys, offset, causal, d, wide)
            for i in range(q0, q1):
                n = visible(i, keys, offset, causal)
                g, o = floats(dout + i * operands[26], width), floats(out + i * operands[22], width)
                along = -dlse[i]
                for j in range(width):
                    along += g[j] * o[j]
                at = 4 * (i - q0) * wide
                x, y = floats(s + at, n), floats(d + at, n)
                shift = lse[i]
                for j in range(n):
                    p = exp32(x[j] * scale - shift)
                    x[j] = p
                    y[j] = p * (y[j] - along) * scale
                x, y = floats(s + at + 4 * n, TILE_ROWS), floats(d + at + 4 * n, TILE_ROWS)
                for j in range(TILE_ROWS):
                    x[j] = np.float32(0)
                    y[j] = np.float32(0)
            for m in range(q0, q1, TILE_ROWS):
                rows = min(TILE_ROWS, q1 - m)
                depth = visible(m + rows - 1, keys, offset, causal)
                for n0 in range(0, width, TILE_COLUMNS):
                    tile(
                        depth,
                        d + 4 * (m - q0) * wide,
                        4 * wide,
                        4,
                        k + 4 * n0,
                        operands[14],
                        dq + m * operands[30] + 4 * n0,
                        operands[30],
                        rows,
                        0,
                    )
            # Keys by tiles: the first query that sees key m is m - offset; before it all is zero.
            for m in range(0, visible(q1 - 1, keys, offset, causal), TILE_ROWS):
                rows = min(TILE_ROWS, keys - m)
                first = max(q0, m - offset) if causal else q0
                again = 1 if q0 > 0 and (m - offset < q0 or not causal) else 0
                at = 4 * ((first - q0) * wide + m)
                for n0 in range(0, width, TILE_COLUMNS):
                    tile(
                        q1 - first,
                        d + at,
                        4,
                        4 * wide,
                        q + first * operands[10] + 4 * n0,
                        operands[10],
                        dk + m * operands[34] + 4 * n0,
                        operands[34],
                        rows,
                        again,
                    )
                    tile(
                        q1 - first,
                        s + at,
                        4,
                        4 * wide,
                        dout + first * operands[26] + 4 * n0,
                        operands[26],
                        dv + m * operands[38] + 4 * n0,
                        operands[38],
                        rows,
                        again,
                    )


def fits(node: Node) -> bool:
    q, k = node.inputs[:2]
    return node.dtype == float32 and fits_heads(q.shape, k.shape)


def lower(lowering: Lowering, node: Node) -> None:
    q, k, v, out, lse, dout, dlse = lowering.reads
    queries, width = q.shape[-2:]
    keys, heads = k.shape[-2], q.shape[-3]
    tasks = q.size // (queries * width)
    shares = shares_of(2 * tasks * queries * keys * width, WORK_OF_A_SHARE, tasks)
    scratch = lowering.workspace(shares * scratch_size(keys, width))
    sizes = (tasks, heads, queries, keys, width, int(node.attrs["causal"]))
    views = [o for x in (q, k, v, out, dout, *lowering.writes) for o in matrix_view(x)]
    scale = float(node.attrs["scale"])
    lowering.call(run, *sizes, scale, *views, lse, dlse, scratch, shares=shares)


def cost(node: Node) -> Cost:
    q, k = node.inputs[:2]
    flops = 10 * q.aval.size * k.shape[-2] // (2 if node.attrs["causal"] else 1)
    return Cost(flops, 4 * (q.aval.nbytes + k.aval.nbytes))


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for leading, queries, keys, width, causal in (
        ((2,), 3, 3, 4, True),
        ((2, 2), 2, 4, 32, True),
        ((1,), 70, 70, 64, True),
        ((1,), 5, 33, 32, False),
        ((1,), 60, 33, 32, False),
    ):
        scale = width**-0.5
        q, dout = (rng.normal(size=(*leading, queries, width)) for _ in range(2))
        k, v = (rng.normal(size=(*leading, keys, width)) for _ in range(2))
        scores = q @ np.swapaxes(k, -1, -2) * scale
        if causal:
            scores = np.where(np.tri(queries, keys, keys - queries), scores, -np.inf)
        lse = np.log(np.sum(np.exp(scores), -1))
        out = np.exp(scores - lse[..., None]) @ v
        inputs = (q, k, v, out, lse, dout, rng.normal(size=lse.shape))
        yield Sample(inputs, {"causal": causal, "scale": scale}, nan=not causal)


register(
    Operator(
        "attention_gradient",
        infer=infer,
        expand=expand,
        lower=lower,
        fits=fits,
        reads=("matrix", "matrix", "matrix", "matrix", "contiguous", "matrix", "contiguous"),
        writes="matrix",
        cost=cost,
        row=TestRow(samples, tolerance=1e-5),
        formula="dS = P (dP - D) s",
    )
)
