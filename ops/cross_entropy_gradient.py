"""cross_entropy_gradient: cotangent of the logits.

Maths: dz_rj = (softmax(z_r)_j - [j = t_r]) dL_r; 0 for ignored rows.
Shapes: logits (rows, vocab), targets (rows,), dL (rows,) -> (rows, vocab).
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
from tinygrad_tx.ops.kernels.vecmath import exp32


def infer(logits: Aval, targets: Aval, cotangent: Aval, ignore_index: int) -> Aval:
    del cotangent, ignore_index
    class_rows(logits, targets)
    return logits


def expand(b: Builder, node: Node) -> Node:
    logits, targets, cotangent = node.inputs
    rows, vocab = logits.shape
    kept = b.not_equal(targets, node.attrs["ignore_index"])
    column = b.broadcast_to(b.reshape(targets, shape=(rows, 1)), (rows, vocab))
    classes = b.iota(shape=(rows, vocab), axis=1, dtype=targets.dtype)
    one_hot = b.astype(b.equal(column, classes), dtype=logits.dtype)
    weight = b.multiply(cotangent, b.astype(kept, dtype=logits.dtype))
    difference = b.subtract(b.softmax(logits), one_hot)
    result: Node = b.multiply(difference, b.reshape(weight, shape=(rows, 1)))
    return result


@kernel("cross_entropy_gradient")
def run(ith: int, nth: int, operands: Any, arena: int) -> None:
    """Operands: rows, vocab, logits, targets, dlosses, dlogits, ignore_index, tag."""
    vocab = operands[1]
    targets, dlosses = int64s(operands[3], operands[0]), floats(operands[4], operands[0])
    low, high = share(operands[0], ith, nth)
    for row in range(low, high):
        z = floats(operands[2] + 4 * row * vocab, vocab)
        dz = floats(operands[5] + 4 * row * vocab, vocab)
        target = targets[row]
        if target == operands[6]:
            for j in range(vocab):
                dz[j] = np.float32(0)
            continue
        if target < 0 or target >= vocab:
            report(arena, BAD_INDEX, operands[7], target)
            target = 0
        top = row_max(operands[2] + 4 * row * vocab, vocab)
        total = np.float32(0)
        for j in range(vocab):
            e = exp32(z[j] - top)
            dz[j] = e
            total += e
        scale = dlosses[row] / total
        for j in range(vocab):
            dz[j] *= scale
        dz[target] -= dlosses[row]


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
        inputs = (rng.normal(size=(rows, vocab)), targets, rng.normal(size=rows))
        yield Sample(inputs, {"ignore_index": -100})
        yield Sample(inputs, {"ignore_index": 0}, nan=False)


register(
    Operator(
        "cross_entropy_gradient",
        infer=infer,
        expand=expand,
        lower=lower,
        fits=fits,
        row=TestRow(samples, tolerance=5e-6),
        formula="(softmax(z) - onehot(t)) · L̇",
    )
)
