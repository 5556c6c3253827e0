"""rms_norm: each row of the last axis divided by its root mean square, then scaled.

Maths: y = x / sqrt(mean(x^2) + epsilon) * weight. Shapes: (..., width), weight (width,).
Source: Zhang and Sennrich 2019, equation 4. Errors: ShapeError, DTypeError.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Aval, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import float_rows, norm_weights


def infer(x: Aval, weight: Aval, epsilon: float) -> Aval:
    del epsilon
    norm_weights(float_rows(x), weight)
    return x


def expand(b: Builder, node: Node) -> Node:
    x, weight = node.inputs
    last, width = len(x.shape) - 1, x.shape[-1]
    square = b.multiply(b.sum(b.square(x), axes=(last,), keepdims=True), 1 / width)
    result: Node = b.multiply(b.multiply(x, b.rsqrt(b.add(square, node.attrs["epsilon"]))), weight)
    return result


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((3,), (2, 5), (2, 3, 4), (0, 4)):
        width = shape[-1]
        arrays = (rng.normal(size=shape), rng.normal(size=width))
        yield Sample(arrays, {"epsilon": 1e-5})


register(
    Operator(
        "rms_norm",
        infer=infer,
        expand=expand,
        row=TestRow(samples, tolerance=5e-6),
        formula="x / √(mean x² + ε) · w",
    )
)
