"""rms_norm_gradient: cotangents of x and weight.

Maths: with r = 1/sqrt(mean(x^2) + epsilon), t = dy weight: dx = r (t - x r^2 mean(t x)); dweight =
sum over rows of dy x r. Shapes: x, dy (..., width), weight (width,) -> (..., width), (width,).
Source: derived.
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
from tinygrad_tx.ops.kernels.rowwise import add_blocks
from tinygrad_tx.ops.rows import float32_rows


def infer(x: Aval, weight: Aval, cotangent: Aval, epsilon: float) -> tuple[Aval, Aval]:
    del epsilon
    norm_weights(float_rows(x, cotangent), weight)
    return x, weight


def expand(b: Builder, node: Node) -> tuple[Node, Node]:
    x, weight, cotangent = node.inputs
    last, width = len(x.shape) - 1, x.shape[-1]

    def mean(v: Node) -> Node:
        result: Node = b.multiply(b.sum(v, axes=(last,), keepdims=True), 1 / width)
        return result

    scale = b.rsqrt(b.add(mean(b.square(x)), node.attrs["epsilon"]))
    normal = b.multiply(x, scale)
    t = b.multiply(cotangent, weight)
    dx = b.multiply(b.subtract(t, b.multiply(normal, mean(b.multiply(t, normal)))), scale)
    rows = tuple(range(last))
    return dx, b.sum(b.multiply(cotangent, normal), axes=rows, keepdims=False)


@kernel("rms_norm_gradient")
def run(ith: int, nth: int, operands: Any, arena: int) -> None:
    """Operands: rows, width, x, weight, dy, dx, partial sums (blocks, width), epsilon, blocks.

    Each block of rows leaves its own sum for the weight, so that the shares do not meet.
    """
    rows, width, blocks = operands[0], operands[1], operands[8]
    weight = floats(operands[3], width)
    epsilon, inverse = np.float32(as_float(operands[7])), np.float32(1 / width)
    first, last = share(blocks, ith, nth)
    for block in range(first, last):
        dweight = floats(operands[6] + 4 * block * width, width)
        for j in range(width):
            dweight[j] = np.float32(0)
        low, high = share(rows, block, blocks)
        for row in range(low, high):
            at = 4 * row * width
            x, dy = floats(operands[2] + at, width), floats(operands[4] + at, width)
            dx = floats(operands[5] + at, width)
            square = np.float32(0)
            along = np.float32(0)
            for j in range(width):
                square += x[j] * x[j]
                along += dy[j] * weight[j] * x[j]
            scale = np.float32(1) / np.sqrt(square * inverse + epsilon)
            along *= inverse * scale
            for j in range(width):
                h, g = x[j] * scale, dy[j]
                dx[j] = (g * weight[j] - h * along) * scale
                dweight[j] += g * h


def lower(lowering: Lowering, node: Node) -> None:
    (x, weight, dy), (dx, dweight) = lowering.reads, lowering.writes
    width = node.shape[-1]
    rows = node.aval.size // width
    blocks = shares_of(node.aval.size, 8192, rows)
    partial = lowering.workspace(blocks * width)
    operands = (x, weight, dy, dx, partial, float(node.attrs["epsilon"]), blocks)
    lowering.call(run, rows, width, *operands, shares=blocks)
    lowering.call(add_blocks, blocks, width, width, partial, dweight)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((3,), (2, 5), (2, 3, 4), (0, 4)):
        width = shape[-1]
        arrays = (rng.normal(size=shape), rng.normal(size=width), rng.normal(size=shape))
        yield Sample(arrays, {"epsilon": 1e-5})


register(
    Operator(
        "rms_norm_gradient",
        infer=infer,
        expand=expand,
        lower=lower,
        fits=float32_rows,
        row=TestRow(samples, tolerance=1e-5),
        formula="r (t - h mean(t h))",
    )
)
