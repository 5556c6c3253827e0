"""softmax_gradient: from the result y of softmax and its cotangent to that of x.

Maths: y (dy - sum(y dy)). Shapes: alike, (..., n).
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
    inner = b.sum(b.multiply(y, cotangent), axes=(last,), keepdims=True)
    result: Node = b.multiply(y, b.subtract(cotangent, inner))
    return result


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node, Node]:
    y, dy = node.inputs
    last = len(y.shape) - 1
    # z = y (dy - s), s = sum(y dy): linear in dy, and its own transpose there.
    inner = b.sum(b.multiply(y, dy), axes=(last,), keepdims=True)
    along = b.sum(b.multiply(y, cotangent), axes=(last,), keepdims=True)
    to_y = b.subtract(b.multiply(cotangent, b.subtract(dy, inner)), b.multiply(dy, along))
    return to_y, b.multiply(y, b.subtract(cotangent, along))


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((3,), (2, 5), (2, 3, 4), (0, 4), (2, 1)):
        yield Sample((rng.normal(size=shape), rng.normal(size=shape)))


register(
    Operator(
        "softmax_gradient",
        infer=float_rows,
        gradient=gradient,
        expand=expand,
        inplace=(0, 1),
        row=TestRow(samples),
        formula="y (ẏ - Σ y ẏ)",
    )
)
