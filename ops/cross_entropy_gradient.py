"""cross_entropy_gradient: cotangent of the logits.

Maths: dz_rj = (softmax(z_r)_j - [j = t_r]) dL_r; 0 for ignored rows.
Shapes: logits (rows, vocab), targets (rows,), dL (rows,) -> (rows, vocab).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Aval, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import class_rows

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


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for rows, vocab in ((3, 5), (2, 1), (0, 4), (4, 7)):
        targets = rng.integers(0, vocab, size=rows)
        inputs = (rng.normal(size=(rows, vocab)), targets, rng.normal(size=rows))
        yield Sample(inputs, {"ignore_index": -100})
        yield Sample(inputs, {"ignore_index": 0})


register(
    Operator(
        "cross_entropy_gradient",
        infer=infer,
        expand=expand,
        row=TestRow(samples, tolerance=5e-6),
        formula="(softmax(z) - onehot(t)) · L̇",
    )
)
