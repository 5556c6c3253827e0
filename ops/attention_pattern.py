"""attention_pattern: softmax of the scores of each query, and their log-sum-exp.

Shapes: scores (..., queries, keys) -> the same, and (..., queries). A query all of whose scores are
minus infinity sees no key: zeros, and 0 for its log-sum-exp. Keys behind the last that a query
sees cost nothing, and leave the bits that attention has.
Maths: P = e^(S - lse); dL/dS = P (dL/dP - sum(P dL/dP) + dL/dlse). Errors: ShapeError, DTypeError.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.lowering import Lowering, shares_of
from tinygrad_tx.graph.node import Aval, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import float_rows
from tinygrad_tx.ops.kernels.flash import softmax_row
from tinygrad_tx.ops.kernels.kernel import floats, kernel, share
from tinygrad_tx.ops.rows import float32_rows


def infer(scores: Aval) -> tuple[Aval, Aval]:
    rows = float_rows(scores)
    return rows, Aval(scores.shape[:-1], scores.dtype)


def expand(b: Builder, node: Node) -> tuple[Node, Node]:
    (scores,) = node.inputs
    last = len(scores.shape) - 1
    top = b.stop_gradient(b.max(scores, axes=(last,), keepdims=True))
    sees_none = b.equal(top, float("-inf"))
    top = b.where(sees_none, b.full(top.shape, 0, top.dtype), top)
    powers = b.exp(b.subtract(scores, top))
    total = b.sum(powers, axes=(last,), keepdims=True)
    total = b.where(sees_none, b.full(top.shape, 1, top.dtype), total)
    lse = b.reshape(b.add(b.log(total), top), shape=scores.shape[:-1])
    return b.divide(powers, total), lse


def gradient(b: Builder, node: Node, dpattern: Node | None, dlse: Node | None) -> tuple[Node]:
    (scores,) = node.inputs
    pattern, _ = b.apply(node.op, scores)
    last = len(scores.shape) - 1
    along = b.full((*scores.shape[:-1], 1), 0, scores.dtype)
    if dlse is not None:
        along = b.reshape(dlse, shape=along.shape)
    if dpattern is None:
        return (b.multiply(pattern, along),)
    mean = b.sum(b.multiply(pattern, dpattern), axes=(last,), keepdims=True)
    return (b.multiply(pattern, b.add(b.subtract(dpattern, mean), along)),)


@kernel("attention_pattern")
def run(ith: int, nth: int, operands: Any, arena: int) -> None:
    """Operands: rows, keys, scores, pattern (contiguous), lse."""
    keys = operands[1]
    low, high = share(operands[0], ith, nth)
    for row in range(low, high):
        x = floats(operands[2] + 4 * row * keys, keys)
        y = floats(operands[3] + 4 * row * keys, keys)
        n = keys
        while n > 0 and x[n - 1] == -np.inf:
            n -= 1
        for j in range(n):
            y[j] = x[j]
        for j in range(n, keys):
            y[j] = np.float32(0)
        lse = floats(operands[4] + 4 * row, 1)
        lse[0] = softmax_row(operands[3] + 4 * row * keys, n) if n > 0 else np.float32(0)


def lower(lowering: Lowering, node: Node) -> None:
    keys = node.shape[-1]
    rows = node.aval.size // keys
    shares = shares_of(node.aval.size, 4096, rows)
    lowering.call(run, rows, keys, *lowering.reads, *lowering.writes, shares=shares)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((3,), (2, 5), (2, 3, 4), (2, 1), (3, 70)):
        yield Sample((rng.normal(size=shape),))


register(
    Operator(
        "attention_pattern",
        infer=infer,
        gradient=gradient,
        expand=expand,
        inplace=(0,),
        lower=lower,
        fits=float32_rows,
        row=TestRow(samples, tolerance=5e-6),
        formula="eˢ / Σ eˢ",
    )
)
