"""layer_norm: each row of the last axis to mean 0 and variance 1, then scaled and shifted.

Maths: y = (x - mean) / sqrt(var + epsilon) * weight + bias. Shapes: (..., width), weight and bias
(width,). Source: Ba et al. 2016, equation 4. Cost: 8 FLOPs an element, one read and one write.
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
from tinygrad_tx.ops.kernels.rowwise import row_moments
from tinygrad_tx.ops.rows import float32_rows


def infer(x: Aval, weight: Aval, bias: Aval, epsilon: float) -> Aval:
    del epsilon
    norm_weights(float_rows(x), weight, bias)
    return x


def expand(b: Builder, node: Node) -> Node:
    x, weight, bias = node.inputs
    mean, scale = b.moments(x, **node.attrs)
    scale = b.point(scale, name="scale", axes=("one",))
    normal = b.multiply(b.subtract(x, mean), scale)
    result: Node = b.add(b.multiply(normal, weight), bias)
    return result


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node, Node, Node]:
    x, weight, _ = node.inputs
    dx, dweight, dbias = b.layer_norm_gradient(x, weight, cotangent, **node.attrs)
    return dx, dweight, dbias


@kernel("layer_norm")
def run(ith: int, nth: int, operands: Any, arena: int) -> None:
    """Operands: rows, width, x, weight, bias, y (contiguous), epsilon."""
    width = operands[1]
    weight, bias = floats(operands[3], width), floats(operands[4], width)
    epsilon = np.float32(as_float(operands[6]))
    low, high = share(operands[0], ith, nth)
    for row in range(low, high):
        x = floats(operands[2] + 4 * row * width, width)
        y = floats(operands[5] + 4 * row * width, width)
        mean, scale = row_moments(operands[2] + 4 * row * width, width, epsilon)
        for j in range(width):
            y[j] = (x[j] - mean) * scale * weight[j] + bias[j]


def lower(lowering: Lowering, node: Node) -> None:
    width = node.shape[-1]
    rows = node.aval.size // width
    shares = shares_of(node.aval.size, 8192, rows)
    operands = (*lowering.reads, *lowering.writes, float(node.attrs["epsilon"]))
    lowering.call(run, rows, width, *operands, shares=shares)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((3,), (2, 5), (2, 3, 4), (0, 4)):
        width = shape[-1]
        arrays = (rng.normal(size=shape), rng.normal(size=width), rng.normal(size=width))
        yield Sample(arrays, {"epsilon": 1e-5})


register(
    Operator(
        "layer_norm",
        infer=infer,
        gradient=gradient,
        expand=expand,
        lower=lower,
        fits=float32_rows,
        row=TestRow(samples, tolerance=5e-6),
        formula="(x - μ) / √(σ² + ε) · w + b",
    )
)
