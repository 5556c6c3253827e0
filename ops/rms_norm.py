"""rms_norm: each row of the last axis divided by its root mean square, then scaled.

Maths: y = x / sqrt(mean(x^2) + epsilon) * weight. Shapes: (..., width), weight (width,).
Source: Zhang and Sennrich 2019, equation 4. Cost: 4 FLOPs an element, one read and one write.
Errors: ShapeError, DTypeError.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.lowering import Lowering, shares_of
from tinygrad_tx.graph.node import Aval, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import float_rows, norm_weights
from tinygrad_tx.ops.kernels.kernel import as_float, floats, kernel, share
from tinygrad_tx.ops.rows import float32_rows


def infer(x: Aval, weight: Aval, epsilon: float) -> Aval:
    del epsilon
    norm_weights(float_rows(x), weight)
    return x


def expand(b: Builder, node: Node) -> Node:
    x, weight = node.inputs
    last, width = len(x.shape) - 1, x.shape[-1]
    square = b.multiply(b.sum(b.square(x), axes=(last,), keepdims=True), 1 / width)
    scale = b.point(b.rsqrt(b.add(square, node.attrs["epsilon"])), name="scale", axes=("one",))
    result: Node = b.multiply(b.multiply(x, scale), weight)
    return result


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node, Node]:
    dx, dweight = b.rms_norm_gradient(*node.inputs, cotangent, **node.attrs)
    return dx, dweight


@kernel("rms_norm")
def run(ith: int, nth: int, operands: Any, arena: int) -> None:
    """Operands: rows, width, x, weight, y (contiguous), epsilon."""
    width = operands[1]
    weight = floats(operands[3], width)
    epsilon, inverse = np.float32(as_float(operands[5])), np.float32(1 / width)
    low, high = share(operands[0], ith, nth)
    for row in range(low, high):
        x = floats(operands[2] + 4 * row * width, width)
        y = floats(operands[4] + 4 * row * width, width)
        square = np.float32(0)
        for j in range(width):
            square += x[j] * x[j]
        scale = np.float32(1) / np.sqrt(square * inverse + epsilon)
        for j in range(width):
            y[j] = x[j] * scale * weight[j]


def lower(lowering: Lowering, node: Node) -> None:
    width = node.shape[-1]
    rows = node.aval.size // width
    operands = (*lowering.reads, *lowering.writes, float(node.attrs["epsilon"]))
    shares = shares_of(node.aval.size, 8192, rows)
    lowering.call(run, rows, width, *operands, shares=shares)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((3,), (2, 5), (2, 3, 4), (0, 4)):
        width = shape[-1]
        arrays = (rng.normal(size=shape), rng.normal(size=width))
        yield Sample(arrays, {"epsilon": 1e-5})


register(
    Operator(
        "rms_norm",
        infer=infer,
        gradient=gradient,
        expand=expand,
        lower=lower,
        fits=float32_rows,
        row=TestRow(samples, tolerance=5e-6),
        formula="x / √(mean x² + ε) · w",
    )
)
