"""attention_gradient: cotangents of q, k and v, from the saved log-sum-exp.

Maths: P = exp(q k^T s + bias - lse), M = P with dropout, dP = the same dropout of dout v^T,
D = rowsum(dout out) - dlse, dS = P (dP - D); dq = s dS k, dk = s dS^T q, dv = M^T dout.
Source: Dao et al. 2022, appendix B. Shapes: q, out, dout (..., heads, queries, width), k, v (...,
key heads, keys, width), lse and dlse (..., heads, queries), extras as in attention -> like q, k, v.
Cost: 10 queries keys width FLOPs a head.
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
from tinygrad_tx.ops.attending import dropped, gathered, pattern_of, repeated, turned
from tinygrad_tx.ops.kernels.flash import (
    HEAD_OPERANDS,
    QUERY_ROWS,
    WORK_OF_A_SHARE,
    add_bias,
    clear_behind,
    drop,
    fits_heads,
    head_operands,
    matrix_view,
    padded,
    score_tiles,
    visible,
    weigh,
    whole_rows,
)
from tinygrad_tx.ops.kernels.gemm import TILE_COLUMNS, TILE_ROWS, pack_columns
from tinygrad_tx.ops.kernels.kernel import as_float, floats, inline, kernel, share
from tinygrad_tx.ops.kernels.vecmath import exp32


def infer(
    q: Aval, k: Aval, v: Aval, out: Aval, lse: Aval, dout: Aval, dlse: Aval, *rest: Aval, **_: Any
) -> tuple[Aval, Aval, Aval]:
    del out, lse, dout, dlse, rest
    return q, k, v


def expand(b: Builder, node: Node) -> tuple[Node, Node, Node]:
    q, k, v, _, _, dout = node.inputs[:6]
    heads, own = q.shape[-3], k.shape[-3]
    dscores = b.attention_bias_gradient(*node.inputs, **node.attrs)
    dscores = b.multiply(dscores, node.attrs["scale"])
    dv = b.matmul(turned(b, dropped(b, node, pattern_of(b, node))), dout)
    dk = b.matmul(turned(b, dscores), q)
    dq = b.matmul(dscores, repeated(b, k, heads))
    return dq, gathered(b, dk, own), gathered(b, dv, own)


# Views behind the head operands, four words each: address, strides in bytes of batch, head, time.
_Q, _K, _V, _OUT, _DOUT, _DQ, _DK, _DV = (HEAD_OPERANDS + 4 * i for i in range(8))
_LSE, _DLSE = HEAD_OPERANDS + 32, HEAD_OPERANDS + 33


@inline
def _head(operands: Any, view: int, batch: int, head: int) -> Any:
    return operands[view] + batch * operands[view + 1] + head * operands[view + 2]


@kernel("attention_gradient")
def run(ith: int, nth: int, operands: Any, arena: int) -> None:
    """A key head at a time with the query heads that share it; scores and their gradient are built
    again, a block of queries at a time. Operands: see flash.py; then views, lse and dlse."""
    group, queries, keys, width = operands[2], operands[3], operands[4], operands[5]
    wide, whole = padded(keys), padded(width) - TILE_COLUMNS
    kt = operands[17] + 4 * ith * operands[18]
    vt = kt + 4 * width * wide
    s = vt + 4 * width * wide
    spare = s + 8 * QUERY_ROWS * wide
    rows_of_k = spare + 4 * (TILE_ROWS * TILE_COLUMNS + wide)
    rows_of_q = rows_of_k + 4 * keys * whole
    owners = operands[1] // group
    low, high = share(operands[0], ith, nth)
    for pair in range(low, high):
        batch, own = pair // owners, pair % owners
        k, v = _head(operands, _K, batch, own), _head(operands, _V, batch, own)
        k_row, v_row = operands[_K + 3], operands[_V + 3]
        for n0 in range(0, keys, TILE_COLUMNS):
            columns, at = min(TILE_COLUMNS, keys - n0), 4 * n0 * width
            pack_columns(k + n0 * k_row, 4, k_row, width, columns, kt + at)
            pack_columns(v + n0 * v_row, 4, v_row, width, columns, vt + at)
        k, k_row = whole_rows(k, k_row, keys, width, rows_of_k)
        for head in range(own * group, (own + 1) * group):
            again = 1 if head > own * group else 0
            for q0 in range(0, queries, QUERY_ROWS):
                q1 = min(queries, q0 + QUERY_ROWS)
                _scores(operands, batch, head, q0, q1, kt, vt, s, spare)
                _to_queries(operands, batch, head, q0, q1, k, k_row, s, spare)
                _to_keys(operands, batch, head, own, q0, q1, again, s, spare, rows_of_q)


@inline
def _scores(
    operands: Any, batch: int, head: int, q0: int, q1: int, kt: int, vt: int, s: int, spare: int
) -> None:
    """The pattern with dropout to `s`, the gradient of the scaled scores behind it."""
    queries, keys, width, causal = operands[3], operands[4], operands[5], operands[6]
    offset, wide, task = keys - queries, padded(keys), batch * operands[1] + head
    q, out = _head(operands, _Q, batch, head), _head(operands, _OUT, batch, head)
    dout = _head(operands, _DOUT, batch, head)
    d, draws = s + 4 * QUERY_ROWS * wide, spare + 4 * TILE_ROWS * TILE_COLUMNS
    score_tiles(q, operands[_Q + 3], kt, width, q0, q1, keys, offset, causal, s, wide)
    score_tiles(dout, operands[_DOUT + 3], vt, width, q0, q1, keys, offset, causal, d, wide)
    scale = np.float32(as_float(operands[7]))
    for i in range(q0, q1):
        n = visible(i, keys, offset, causal)
        g = floats(dout + i * operands[_DOUT + 3], width)
        o = floats(out + i * operands[_OUT + 3], width)
        along = -floats(operands[_DLSE] + 4 * (task * queries + i), 1)[0]
        for j in range(width):
            along += g[j] * o[j]
        row, drow = s + 4 * (i - q0) * wide, d + 4 * (i - q0) * wide
        factor = add_bias(operands, task, i, row, n)
        shift = floats(operands[_LSE] + 4 * (task * queries + i), 1)[0]
        x, y = floats(row, n), floats(drow, n)
        drop(operands, task, i, drow, n, draws)
        for j in range(n):
            p = exp32(x[j] * factor - shift)
            x[j] = p
            y[j] = p * (y[j] - along) * scale
        drop(operands, task, i, row, n, draws)
        clear_behind(row, n)
        clear_behind(drow, n)


@inline
def _to_queries(
    operands: Any, batch: int, head: int, q0: int, q1: int, k: int, k_row: int, s: int, spare: int
) -> None:
    """dq = dS k for the block."""
    queries, keys, width = operands[3], operands[4], operands[5]
    offset, wide = keys - queries, padded(keys)
    d, dq, dq_row = s + 4 * QUERY_ROWS * wide, _head(operands, _DQ, batch, head), operands[_DQ + 3]
    for m in range(q0, q1, TILE_ROWS):
        rows = min(TILE_ROWS, q1 - m)
        depth = visible(m + rows - 1, keys, offset, operands[6])
        a, at = d + 4 * (m - q0) * wide, dq + m * dq_row
        weigh(depth, a, 4 * wide, 4, k, k_row, at, dq_row, rows, width, 0, spare)


@inline
def _to_keys(
    operands: Any,
    batch: int,
    head: int,
    own: int,
    q0: int,
    q1: int,
    again: int,
    s: int,
    spare: int,
    rows_of_q: int,
) -> None:
    """dk += dS^T q and dv += M^T dout for the block; the first that sees a key writes."""
    queries, keys, width, causal = operands[3], operands[4], operands[5], operands[6]
    offset, wide = keys - queries, padded(keys)
    d = s + 4 * QUERY_ROWS * wide
    q, dout = _head(operands, _Q, batch, head), _head(operands, _DOUT, batch, head)
    q_row, dout_row = operands[_Q + 3], operands[_DOUT + 3]
    dk, dv = _head(operands, _DK, batch, own), _head(operands, _DV, batch, own)
    dk_row, dv_row = operands[_DK + 3], operands[_DV + 3]
    whole = padded(width) - TILE_COLUMNS
    q, q_row = whole_rows(q + q0 * q_row, q_row, q1 - q0, width, rows_of_q)
    rows_of_dout = rows_of_q + 4 * QUERY_ROWS * whole
    dout, dout_row = whole_rows(dout + q0 * dout_row, dout_row, q1 - q0, width, rows_of_dout)
    # Keys by tiles: the first query that sees key m is m - offset; before it all is zero.
    for m in range(0, visible(q1 - 1, keys, offset, causal), TILE_ROWS):
        rows = min(TILE_ROWS, keys - m)
        skip = max(0, m - offset - q0) if causal else 0
        more = 1 if again or (q0 > 0 and (m - offset < q0 or not causal)) else 0
        count, at = q1 - q0 - skip, 4 * (skip * wide + m)
        b, to = q + skip * q_row, dk + m * dk_row
        weigh(count, d + at, 4, 4 * wide, b, q_row, to, dk_row, rows, width, more, spare)
        b, to = dout + skip * dout_row, dv + m * dv_row
        weigh(count, s + at, 4, 4 * wide, b, dout_row, to, dv_row, rows, width, more, spare)


def fits(node: Node) -> bool:
    q, k = node.inputs[:2]
    return node.dtype == float32 and fits_heads(q.shape, k.shape)


def lower(lowering: Lowering, node: Node) -> None:
    q, k, v, out, lse, dout, dlse = lowering.reads[:7]
    width, keys = q.shape[-1], k.shape[-2]
    pairs = k.size // (keys * width)
    shares = shares_of(2 * q.size * keys, WORK_OF_A_SHARE, pairs)
    wide, whole = (int(padded.py_func(n)) for n in (keys, width))
    needed = 2 * (width + QUERY_ROWS) * wide + (keys + 2 * QUERY_ROWS) * whole
    head = head_operands(lowering, node, pairs, shares, needed)
    views = [o for x in (q, k, v, out, dout, *lowering.writes) for o in matrix_view(x)]
    lowering.call(run, *head, *views, lse, dlse, shares=shares)


def cost(node: Node) -> Cost:
    q, k = node.inputs[:2]
    flops = 10 * q.aval.size * k.shape[-2] // (2 if node.attrs["causal"] else 1)
    return Cost(flops, 4 * (q.aval.nbytes + k.aval.nbytes))


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for leading, own, queries, keys, width, causal, extras in (
        ((2,), 2, 3, 3, 4, True, 0),
        ((2, 2), 1, 2, 4, 32, True, 0),
        ((1,), 1, 70, 70, 64, True, 0),
        ((1,), 1, 5, 33, 32, False, 1),
        ((1,), 1, 60, 33, 32, False, 0),
        ((1, 4), 2, 60, 60, 7, True, 3),
        ((2,), 1, 4, 4, 40, False, 2),
    ):
        scale, repeats = width**-0.5, leading[-1] // own
        q, dout = (rng.normal(size=(*leading, queries, width)) for _ in range(2))
        k, v = (rng.normal(size=(*leading[:-1], own, keys, width)) for _ in range(2))
        scores = q @ np.swapaxes(np.repeat(k, repeats, -3), -1, -2) * scale
        bias = [rng.normal(size=scores.shape)] if extras % 2 else []
        scores = scores + bias[0] if bias else scores
        if causal:
            scores = np.where(np.tri(queries, keys, keys - queries), scores, -np.inf)
        lse = np.log(np.sum(np.exp(scores), -1))
        # Any out serves: only its products with dout are read.
        out = np.exp(scores - lse[..., None]) @ np.repeat(v, repeats, -3)
        rest = [*bias, np.asarray(5), np.asarray(3)] if extras > 1 else bias
        inputs = (q, k, v, out, lse, dout, rng.normal(size=lse.shape), *rest)
        attrs = {"causal": causal, "scale": scale, "extras": extras}
        attrs |= {"dropout": 0.25 if extras > 1 else 0.0, "offset": 2}
        yield Sample(inputs, attrs, nan=not causal and extras < 2)


register(
    Operator(
        "attention_gradient",
        infer=infer,
        expand=expand,
        lower=lower,
        fits=fits,
        reads=("matrix",) * 4 + ("contiguous", "matrix", "contiguous", "any"),
        writes="matrix",
        cost=cost,
        row=TestRow(samples, tolerance=1e-5),
        formula="dS = P (dP - D) s",
    )
)
