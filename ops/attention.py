"""attention: softmax(q k^T scale + bias) v for each head, without ever storing queries x keys.

Shapes: q (..., heads, queries, width), k and v (..., key heads, keys, width), where the key heads
divide the heads -> out like q, and the log-sum-exp of the scores (..., heads, queries). Causal:
query i sees keys up to i + keys - queries. A query that sees no key gets zeros, and 0 for its
log-sum-exp, so that the gradient is zero too. bias (..., heads, queries, keys) is often a broadcast
view; seed and counter are those of the draws of dropout, which zeroes weights of the pattern.
Source: Vaswani et al. 2017, equation 1; Ainslie et al. 2023 (grouped heads); tiles after Dao et
al. 2022. Cost: 4 queries keys width FLOPs a head, half of it when causal. Errors: ShapeError,
DTypeError.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import float32
from tinygrad_tx.errors import Rejected, ShapeError
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.lowering import Lowering, Operand, shares_of
from tinygrad_tx.graph.node import Aval, Cost, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.attending import check_extras, opened
from tinygrad_tx.ops.infer import floating
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
    scaled,
    score_tiles,
    shown,
    softmax_row,
    visible,
    weigh,
    whole_rows,
)
from tinygrad_tx.ops.kernels.gemm import DEPTH, TILE_COLUMNS, TILE_ROWS, pack_columns
from tinygrad_tx.ops.kernels.kernel import floats, kernel, share


def infer(
    q: Aval,
    k: Aval,
    v: Aval,
    *rest: Aval,
    causal: bool,
    scale: float,
    extras: int,
    dropout: float,
    offset: int,
) -> tuple[Aval, Aval]:
    del scale, dropout, offset
    for x in (q, k, v):
        if len(x.shape) < 3:
            raise Rejected(ShapeError, f"needs (..., heads, time, width), got {x.shape}")
        floating(x, Aval(x.shape, q.dtype))
    same = q.shape[:-3] == k.shape[:-3] and q.shape[-1] == k.shape[-1] and k.shape == v.shape
    if not same or q.shape[-3] % max(k.shape[-3], 1):
        raise Rejected(ShapeError, f"q {q.shape}, k {k.shape}, v {v.shape} do not belong together")
    if causal and q.shape[-2] > k.shape[-2]:
        what = f"causal with more queries ({q.shape[-2]}) than keys ({k.shape[-2]})"
        raise Rejected(ShapeError, what)
    check_extras(q, k, rest, extras)
    return q, Aval(q.shape[:-1], q.dtype)


def expand(b: Builder, node: Node) -> tuple[Node, Node]:
    context, lse, _, _ = opened(b, node)
    return context, lse


def gradient(b: Builder, node: Node, dout: Node | None, dlse: Node | None) -> tuple[Any, ...]:
    (q, k, v, *rest), attrs = node.inputs, node.attrs
    out, lse = b.apply(node.op, *node.inputs, **attrs)
    dout = dout if dout is not None else b.full(q.shape, 0, q.dtype)
    dlse = dlse if dlse is not None else b.full(q.shape[:-1], 0, q.dtype)
    given = (q, k, v, out, lse, dout, dlse, *rest)
    found = b.attention_gradient(*given, **attrs)
    if not attrs["extras"] % 2:
        return (*found, *(None for _ in rest))
    return (*found, b.attention_bias_gradient(*given, **attrs), *(None for _ in rest[1:]))


@kernel("attention")
def run(ith: int, nth: int, operands: Any, arena: int) -> None:
    """A head at a time, QUERY_ROWS queries at a time: scores, softmax, weighted sum of values.

    Operands: see flash.py; then views of q, k, v and out (address, strides in bytes of batch, head,
    time), lse, and where scores and pattern go for somebody who looks, or 0.
    """
    heads, group, width = operands[1], operands[2], operands[5]
    queries, keys = operands[3], operands[4]
    views, wide = HEAD_OPERANDS, padded(keys)
    kt = operands[17] + 4 * ith * operands[18]
    s = kt + 4 * width * wide
    spare = s + 4 * QUERY_ROWS * wide
    draws = spare + 4 * TILE_ROWS * TILE_COLUMNS
    rows_of_v = draws + 4 * wide
    low, high = share(operands[0], ith, nth)
    for task in range(low, high):
        batch, head = task // heads, task % heads
        q = operands[views] + batch * operands[views + 1] + head * operands[views + 2]
        own = head // group
        k = operands[views + 4] + batch * operands[views + 5] + own * operands[views + 6]
        v = operands[views + 8] + batch * operands[views + 9] + own * operands[views + 10]
        out = operands[views + 12] + batch * operands[views + 13] + head * operands[views + 14]
        k_row, out_row = operands[views + 7], operands[views + 15]
        lse = operands[views + 16] + 4 * task * queries
        for n0 in range(0, keys, TILE_COLUMNS):
            columns = min(TILE_COLUMNS, keys - n0)
            pack_columns(k + n0 * k_row, 4, k_row, width, columns, kt + 4 * n0 * width)
        v, v_row = whole_rows(v, operands[views + 11], keys, width, rows_of_v)
        for q0 in range(0, queries, QUERY_ROWS):
            q1 = min(queries, q0 + QUERY_ROWS)
            offset, causal = keys - queries, operands[6]
            q_row = operands[views + 3]
            score_tiles(q, q_row, kt, width, q0, q1, keys, offset, causal, s, wide)
            for i in range(q0, q1):
                n = visible(i, keys, offset, causal)
                row = s + 4 * (i - q0) * wide
                scaled(row, n, add_bias(operands, task, i, row, n))
                at = 4 * (task * queries + i) * keys
                if operands[views + 17] != 0:
                    shown(row, n, keys, operands[views + 17] + at, np.float32(-np.inf))
                floats(lse + 4 * i, 1)[0] = softmax_row(row, n)
                if operands[views + 18] != 0:
                    shown(row, n, keys, operands[views + 18] + at, np.float32(0))
                drop(operands, task, i, row, n, draws)
                clear_behind(row, n)
            for m in range(q0, q1, TILE_ROWS):
                rows = min(TILE_ROWS, q1 - m)
                depth = visible(m + rows - 1, keys, offset, causal)
                a, at = s + 4 * (m - q0) * wide, out + m * out_row
                for k0 in range(0, depth, DEPTH):  # in panels, to the same bits as a product
                    deep, more, b = min(DEPTH, depth - k0), int(k0 > 0), v + k0 * v_row
                    part = a + 4 * k0
                    weigh(deep, part, 4 * wide, 4, b, v_row, at, out_row, rows, width, more, spare)


def fits(node: Node) -> bool:
    q, k = node.inputs[:2]
    return node.dtype == float32 and fits_heads(q.shape, k.shape)


def lower(lowering: Lowering, node: Node) -> None:
    lower_shown(lowering, node, 0, 0)


def lower_shown(lowering: Lowering, node: Node, scores: Operand, pattern: Operand) -> None:
    """The kernel, which leaves scores and pattern in these contiguous views, unless they are 0."""
    q, k, v = lowering.reads[:3]
    out, lse = lowering.writes[:2]
    (queries, width), keys = q.shape[-2:], k.shape[-2]
    tasks = q.size // (queries * width)
    shares = shares_of(tasks * queries * keys * width, WORK_OF_A_SHARE, tasks)
    wide, whole = (int(padded.py_func(n)) for n in (keys, width))
    head = head_operands(lowering, node, tasks, shares, (width + QUERY_ROWS) * wide + keys * whole)
    views = [o for x in (q, k, v, out) for o in matrix_view(x)]
    lowering.call(run, *head, *views, lse, scores, pattern, shares=shares)


def cost(node: Node) -> Cost:
    q, k = node.inputs[:2]
    flops = 4 * q.aval.size * k.shape[-2] // (2 if node.attrs["causal"] else 1)
    return Cost(flops, 2 * (q.aval.nbytes + k.aval.nbytes))


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for leading, own, queries, keys, width, causal, extras in (
        ((2,), 2, 3, 3, 4, True, 0),
        ((1, 2), 2, 3, 5, 2, False, 1),
        ((2, 2), 1, 2, 4, 32, True, 0),
        ((1,), 1, 70, 70, 64, True, 0),
        ((1,), 1, 5, 33, 32, False, 0),
        ((1, 4), 2, 3, 5, 7, True, 3),
        ((2,), 1, 4, 4, 40, False, 2),
    ):
        heads = leading[-1]
        q = rng.normal(size=(*leading, queries, width))
        k, v = (rng.normal(size=(*leading[:-1], own, keys, width)) for _ in range(2))
        bias = [rng.normal(size=(*leading[:-1], heads, queries, keys))] if extras % 2 else []
        rest = [*bias, np.asarray(5), np.asarray(3)] if extras > 1 else bias
        attrs = {"causal": causal, "scale": width**-0.5, "extras": extras}
        attrs |= {"dropout": 0.25 if extras > 1 else 0.0, "offset": 2}
        yield Sample((q, k, v, *rest), attrs, nan=not causal and extras < 2)


register(
    Operator(
        "attention",
        infer=infer,
        gradient=gradient,
        expand=expand,
        lower=lower,
        fits=fits,
        reads=("matrix", "matrix", "matrix", "any"),
        writes="matrix",
        cost=cost,
        row=TestRow(samples, tolerance=5e-6),
        formula="softmax(q kᵀ s + b) v",
    )
)
