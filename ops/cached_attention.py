"""cached_attention: attention of new tokens to those before them, whose keys and values are kept.

Maths: attention of query i to the places 0 ... n_b + i, of which the first n_b are in the cache and
the others among the new rows; n_b is how many sequence b has already.
Shapes: q (batch, heads, time, width), k and v (batch, key heads, time, width) of the new tokens,
keys and values (batch, key heads, context, width), lengths (batch,) int64, bias (batch, heads,
time, context) by place -> like q. Source: Vaswani et al. 2017, equation 1; Shazeer 2019, section
2.3, on decoding token by token. Cost: at most 4 context width FLOPs a query and head.
Errors: ShapeError, DTypeError; IndexRangeError where new tokens stand beyond the context.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import float32, int64
from tinygrad_tx.errors import DTypeError, Rejected, ShapeError
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.lowering import Lowering, shares_of
from tinygrad_tx.graph.node import Aval, Cost, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.attending import HEADS, SCORES, repeated, turned
from tinygrad_tx.ops.infer import floating
from tinygrad_tx.ops.kernels.flash import softmax_row
from tinygrad_tx.ops.kernels.kernel import (
    BAD_INDEX,
    as_float,
    floats,
    inline,
    int64s,
    kernel,
    report,
    share,
)

WORK_OF_A_SHARE = 50_000  # multiply-adds


def infer(
    q: Aval,
    k: Aval,
    v: Aval,
    keys: Aval,
    values: Aval,
    lengths: Aval,
    *bias: Aval,
    scale: float,
) -> Aval:
    del scale
    for x in (q, k, v, keys, values, *bias):
        if len(x.shape) != 4:
            raise Rejected(ShapeError, f"needs (batch, heads, time, width), got {x.shape}")
        floating(x, Aval(x.shape, q.dtype))
    (batch, heads, time, width), (own, context) = q.shape, keys.shape[1:3]
    new, old = (batch, own, time, width), (batch, own, context, width)
    fits = k.shape == v.shape == new and keys.shape == values.shape == old
    if not fits or heads % max(own, 1) or lengths.shape != (batch,):
        found = f"q {q.shape}, k {k.shape}, v {v.shape}, keys {keys.shape}, values {values.shape}"
        raise Rejected(ShapeError, f"{found}, lengths {lengths.shape} do not belong together")
    if any(x.shape != (batch, heads, time, context) for x in bias):
        what = f"bias {bias[0].shape} is not {(batch, heads, time, context)}"
        raise Rejected(ShapeError, what)
    if lengths.dtype != int64:
        raise Rejected(DTypeError, f"lengths are {lengths.dtype}", "use astype(int64)")
    return q


def expand(b: Builder, node: Node) -> Node:
    q, k, v, keys, values, lengths, *bias = node.inputs
    every_key = repeated(b, b.write_rows(keys, k, lengths), q.shape[1])
    every_value = repeated(b, b.write_rows(values, v, lengths), q.shape[1])
    scores = b.multiply(b.matmul(q, turned(b, every_key)), node.attrs["scale"])
    if bias:
        scores = b.add(scores, bias[0])
    shape = scores.shape
    first = b.reshape(lengths, shape=(shape[0], 1, 1, 1))
    last = b.add(b.iota(shape=shape, axis=2, dtype=int64), first)
    seen = b.less_equal(b.iota(shape=shape, axis=3, dtype=int64), last)
    scores = b.where(seen, scores, b.full(shape, float("-inf"), scores.dtype))
    scores = b.point(scores, name="scores", axes=SCORES)
    pattern = b.point(b.softmax(scores), name="pattern", axes=SCORES)
    context: Node = b.point(b.matmul(pattern, every_value), name="context", axes=HEADS)
    return context


@kernel("cached_attention")
def run(ith: int, nth: int, operands: Any, arena: int) -> None:
    """One head of one sequence at a time, query by query: a product with each key that it sees.

    Operands: 0 tasks, 1 heads, 2 query heads of each key head, 3 time, 4 context, 5 width, 6 scale,
    7 lengths, 8 scratch, 9 tag, 10 bias or 0 and 11-13 its strides (batch, head, query) in bytes;
    from 14 on q, k, v, keys, values and out with their strides (batch, head, time).
    """
    heads, group, time, context, width = (
        operands[1],
        operands[2],
        operands[3],
        operands[4],
        operands[5],
    )
    scale = np.float32(as_float(operands[6]))
    row = operands[8] + 4 * ith * context
    low, high = share(operands[0], ith, nth)
    for task in range(low, high):
        batch, head = task // heads, task % heads
        own = head // group
        length = int64s(operands[7], heads)[batch]
        if length < 0 or length + time > context:
            report(arena, BAD_INDEX, operands[9], length + time)
            length = 0
        q = operands[14] + batch * operands[15] + head * operands[16]
        k = operands[18] + batch * operands[19] + own * operands[20]
        v = operands[22] + batch * operands[23] + own * operands[24]
        keys = operands[26] + batch * operands[27] + own * operands[28]
        values = operands[30] + batch * operands[31] + own * operands[32]
        out = operands[34] + batch * operands[35] + head * operands[36]
        for i in range(time):
            count, query = length + i + 1, q + i * operands[17]
            _score(query, keys, operands[29], length, width, scale, row)
            _score(query, k, operands[21], i + 1, width, scale, row + 4 * length)
            if operands[10] != 0:
                at = operands[10] + batch * operands[11] + head * operands[12] + i * operands[13]
                x, y = floats(row, count), floats(at, count)
                for j in range(count):
                    x[j] += y[j]
            softmax_row(row, count)
            z = floats(out + i * operands[37], width)
            for j in range(width):
                z[j] = np.float32(0)
            _weigh(row, values, operands[33], length, width, out + i * operands[37])
            _weigh(row + 4 * length, v, operands[25], i + 1, width, out + i * operands[37])


@inline
def _score(
    query: int, keys: int, step: int, count: int, width: int, scale: Any, target: int
) -> None:
    """target[j] = scale q k_j for `count` keys."""
    q, z = floats(query, width), floats(target, count)
    for j in range(count):
        k = floats(keys + j * step, width)
        total = np.float32(0)
        for i in range(width):
            total += q[i] * k[i]
        z[j] = total * scale


@inline
def _weigh(pattern: int, values: int, step: int, count: int, width: int, target: int) -> None:
    """target += sum_j p_j v_j."""
    p, z = floats(pattern, count), floats(target, width)
    for j in range(count):
        v, weight = floats(values + j * step, width), p[j]
        for i in range(width):
            z[i] += weight * v[i]


def fits(node: Node) -> bool:
    return node.dtype == float32 and 0 not in node.shape


def lower(lowering: Lowering, node: Node) -> None:
    q, k, v, keys, values, lengths, *bias = lowering.reads
    (batch, heads, time, width), (own, context) = q.shape, keys.shape[1:3]
    tasks = batch * heads
    shares = shares_of(tasks * time * context * width, WORK_OF_A_SHARE, tasks)
    sizes = (tasks, heads, heads // own, time, context, width, float(node.attrs["scale"]))
    scratch = lowering.workspace(shares * context)
    added = [bias[0], *(4 * s for s in bias[0].strides[:3])] if bias else [0] * 4
    views = [
        o
        for x in (q, k, v, keys, values, *lowering.writes)
        for o in (x, *(4 * s for s in x.strides[:3]))
    ]
    lowering.call(run, *sizes, lengths, scratch, lowering.tag, *added, *views, shares=shares)


def cost(node: Node) -> Cost:
    keys = node.inputs[3]
    return Cost(4 * node.aval.size * keys.shape[2], 2 * (node.aval.nbytes + keys.aval.nbytes))


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for heads, own, time, context, width, lengths, biased in (
        (2, 2, 1, 4, 3, [2], False),
        (4, 2, 2, 6, 2, [0, 4], False),
        (3, 1, 1, 40, 16, [39, 5], True),
    ):
        batch = len(lengths)
        q = rng.normal(size=(batch, heads, time, width))
        k, v = rng.normal(size=(2, batch, own, time, width))
        keys, values = rng.normal(size=(2, batch, own, context, width))
        bias = [rng.normal(size=(batch, heads, time, context))] if biased else []
        given = (q, k, v, keys, values, np.asarray(lengths), *bias)
        yield Sample(given, {"scale": width**-0.5}, nan=False)


register(
    Operator(
        "cached_attention",
        infer=infer,
        expand=expand,
        lower=lower,
        fits=fits,
        reads=(
            "matrix",
            "matrix",
            "matrix",
            "contiguous",
            "contiguous",
            "contiguous",
            "contiguous",
        ),
        writes="matrix",
        cost=cost,
        row=TestRow(samples, tolerance=5e-6),
        formula="softmax(q [kept, k]ᵀ s + b) [kept, v]",
    )
)
