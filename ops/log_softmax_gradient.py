"""log_softmax_gradient: from the result y of log_softmax and its cotangent to that of x.

Maths: dy - e^y sum(dy). Shapes: alike, (..., n).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import float_rows


def expand(b: Builder, node: Node) -> Node:
    y, cotangent = node.inputs
    last = len(y.shape) - 1
    total = b.sum(cotangent, axes=(last,), keepdims=True)
    result: Node = b.subtract(cotangent, b.multiply(b.exp(y), total))
    return result


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node, Node]:
    y, dy = node.inputs
    last = len(y.shape) - 1
    # z = dy - e^y s, s = sum(dy).
    powers = b.exp(y)
    total = b.sum(dy, axes=(last,), keepdims=True)
    weighted = b.multiply(powers, cotangent)
    to_y = b.negative(b.multiply(weighted, total))
    return to_y, b.subtract(cotangent, b.sum(weighted, axes=(last,), keepdims=True))


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((3,), (2, 5), (2, 3, 4), (0, 4), (2, 1)):
        yield Sample((rng.normal(size=shape), rng.normal(size=shape)))


register(
    Operator(
        "log_softmax_gradient",
        infer=float_rows,
        gradient=gradient,
        expand=expand,
        inplace=(0, 1),
        row=TestRow(samples),
        formula="ẏ - eʸ Σ ẏ",
    )
)
