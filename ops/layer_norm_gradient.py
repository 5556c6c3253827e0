"""layer_norm_gradient: cotangents of x, weight and bias.

Maths: with h = (x - mean) r, r = 1/sqrt(var + epsilon), t = dy weight:
dx = r (t - mean(t) - h mean(t h)); dweight = sum over rows of dy h; dbias = sum over rows of dy.
Shapes: x, dy (..., width), weight (width,) -> (..., width), (width,), (width,). Source: derived.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.lowering import Lowering, shares_of
from tinygrad_tx.graph.node import Aval, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import float_rows, norm_weights
from tinygrad_tx.ops.kernels.kernel import as_float, floats, kernel, share
from tinygrad_tx.ops.kernels.rowwise import add_blocks, row_sum
from tinygrad_tx.ops.rows import float32_rows


def infer(x: Aval, weight: Aval, cotangent: Aval, epsilon: float) -> tuple[Aval, Aval, Aval]:
    del epsilon
    norm_weights(float_rows(x, cotangent), weight)
    return x, weight, weight


def expand(b: Builder, node: Node) -> tuple[Node, Node, Node]:
    x, weight, cotangent = node.inputs
    last, width = len(x.shape) - 1, x.shape[-1]
    rows = tuple(range(last))

    def mean(v: Node) -> Node:
        result: Node = b.multiply(b.sum(v, axes=(last,), keepdims=True), 1 / width)
        return result

    centred = b.subtract(x, mean(x))
    scale = b.rsqrt(b.add(mean(b.square(centred)), node.attrs["epsilon"]))
    normal = b.multiply(centred, scale)
    t = b.multiply(cotangent, weight)
    inner = b.add(mean(t), b.multiply(normal, mean(b.multiply(t, normal))))
    dx = b.multiply(b.subtract(t, inner), scale)
    dweight = b.sum(b.multiply(cotangent, normal), axes=rows, keepdims=False)
    return dx, dweight, b.sum(cotangent, axes=rows, keepdims=False)


@kernel("layer_norm_gradient")
def run(ith: int, nth: int, operands: Any, arena: int) -> None:
    """Operands: rows, width, x, weight, dy, dx, partial sums (blocks, 2, width), epsilon, blocks.

    Each block of rows leaves its own sums for weight and bias, so that the shares do not meet.
    """
    rows, width, blocks = operands[0], operands[1], operands[8]
    weight = floats(operands[3], width)
    epsilon, inverse = np.float32(as_float(operands[7])), np.float32(1 / width)
    first, last = share(blocks, ith, nth)
    for block in range(first, last):
        dweight = floats(operands[6] + 8 * block * width, width)
        dbias = floats(operands[6] + 8 * block * width + 4 * width, width)
        for j in range(width):
            dweight[j] = np.float32(0)
            dbias[j] = np.float32(0)
        low, high = share(rows, block, blocks)
        for row in range(low, high):
            at = 4 * row * width
            x, dy, dx = (
                floats(operands[2] + at, width),
                floats(operands[4] + at, width),
                floats(operands[5] + at, width),
            )
            mean = row_sum(operands[2] + at, width) * inverse
            square = np.float32(0)
            for j in range(width):
                d = x[j] - mean
                square += d * d
            scale = np.float32(1) / np.sqrt(square * inverse + epsilon)
            total = np.float32(0)
            along = np.float32(0)
            for j in range(width):
                t = dy[j] * weight[j]
                total += t
                along += t * ((x[j] - mean) * scale)
            total *= inverse
            along *= inverse
            for j in range(width):
                h = (x[j] - mean) * scale
                g = dy[j]
                dx[j] = (g * weight[j] - total - h * along) * scale
                dweight[j] += g * h
                dbias[j] += g


def lower(lowering: Lowering, node: Node) -> None:
    (x, weight, dy), (dx, dweight, dbias) = lowering.reads, lowering.writes
    width = node.shape[-1]
    rows = node.aval.size // width
    blocks = shares_of(node.aval.size, 8192, rows)
    partial = lowering.workspace(2 * blocks * width)
    operands = (x, weight, dy, dx, partial, float(node.attrs["epsilon"]), blocks)
    lowering.call(run, rows, width, *operands, shares=blocks)
    lowering.call(add_blocks, blocks, width, 2 * width, partial, dweight)
    lowering.call(add_blocks, blocks, width, 2 * width, replace(partial, offset=width), dbias)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((3,), (2, 5), (2, 3, 4), (0, 4)):
        width = shape[-1]
        arrays = (rng.normal(size=shape), rng.normal(size=width), rng.normal(size=shape))
        yield Sample(arrays, {"epsilon": 1e-5})


register(
    Operator(
        "layer_norm_gradient",
        infer=infer,
        expand=expand,
        lower=lower,
        fits=float32_rows,
        row=TestRow(samples, tolerance=1e-5),
        formula="r (t - mean(t) - h mean(t h))",
    )
)
