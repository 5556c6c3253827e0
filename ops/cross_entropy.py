"""cross_entropy: the negative log-likelihood of the targets, row by row.

Maths: L_r = log sum_j e^(z_rj) - z_(r,t_r); 0 where t_r = ignore_index.
Shapes: logits (rows, vocab), targets (rows,) integers in 0 ... vocab - 1 -> losses (rows,).
Errors: IndexRangeError for a target outside the vocabulary, ShapeError, DTypeError.
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
from tinygrad_tx.ops.infer import class_rows
from tinygrad_tx.ops.kernels.kernel import BAD_INDEX, floats, int64s, kernel, report, share
from tinygrad_tx.ops.kernels.rowwise import row_max
from tinygrad_tx.ops.kernels.vecmath import exp32, log32


def infer(logits: Aval, targets: Aval, ignore_index: int) -> Aval:
    del ignore_index
    class_rows(logits, targets)
    return Aval(targets.shape, logits.dtype)


def expand(b: Builder, node: Node) -> Node:
    logits, targets = node.inputs
    rows = logits.shape[0]
    kept = b.not_equal(targets, node.attrs["ignore_index"])
    # An ignored target may lie outside the vocabulary: it reads class 0 and counts nothing.
    safe = b.where(kept, targets, b.full(targets.shape, 0, targets.dtype))
    column = b.reshape(safe, shape=(rows, 1))
    chosen = b.take_along_axis(b.log_softmax(logits), column, axis=1)
    losses = b.negative(b.reshape(chosen, shape=(rows,)))
    result: Node = b.where(kept, losses, b.full(losses.shape, 0, losses.dtype))
    return result


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node, None]:
    logits, targets = node.inputs
    return b.cross_entropy_gradient(logits, targets, cotangent, **node.attrs), None


@kernel("cross_entropy")
def run(ith: int, nth: int, operands: Any, arena: int) -> None:
    """Operands: rows, vocab, logits, targets, losses, ignore_index, tag."""
    vocab = operands[1]
    targets, losses = int64s(operands[3], operands[0]), floats(operands[4], operands[0])
    low, high = share(operands[0], ith, nth)
    for row in range(low, high):
        target = targets[row]
        if target == operands[5]:
            losses[row] = np.float32(0)
            continue
        if target < 0 or target >= vocab:
            report(arena, BAD_INDEX, operands[6], target)
            target = 0
        z = floats(operands[2] + 4 * row * vocab, vocab)
        top = row_max(operands[2] + 4 * row * vocab, vocab)
        total = np.float32(0)
        for j in range(vocab):
            total += exp32(z[j] - top)
        losses[row] = log32(total) + top - z[target]


def fits(node: Node) -> bool:
    targets = node.inputs[1].dtype
    return node.dtype == float32 and targets == int64 and node.inputs[0].aval.size > 0


def lower(lowering: Lowering, node: Node) -> None:
    rows, vocab = node.inputs[0].shape
    shares = shares_of(rows * vocab, 4096, rows)
    operands = (*lowering.reads, *lowering.writes, node.attrs["ignore_index"], lowering.tag)
    lowering.call(run, rows, vocab, *operands, shares=shares)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for rows, vocab in ((3, 5), (2, 1), (0, 4), (4, 7)):
        targets = rng.integers(0, vocab, size=rows)
        yield Sample((rng.normal(size=(rows, vocab)), targets), {"ignore_index": -100})
        yield Sample((rng.normal(size=(rows, vocab)), targets), {"ignore_index": 0})


register(
    Operator(
        "cross_entropy",
        infer=infer,
        gradient=gradient,
        expand=expand,
        lower=lower,
        fits=fits,
        row=TestRow(samples, tolerance=5e-6),
        formula="log Σ eᶻʲ - zₜ",
    )
)
