"""softmax: over the last axis.

Maths: z_i = e^(x_i) / sum_j e^(x_j); dL/dx = z (dL/dz - sum(z dL/dz)).
The largest element is taken out first, so that nothing overflows. Shapes: (..., n), n > 0.
Errors: ShapeError for 0-d or an empty last axis, DTypeError for integers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import float32
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.lowering import Lowering, shares_of
from tinygrad_tx.graph.node import Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import float_rows
from tinygrad_tx.ops.kernels.kernel import floats, kernel, share
from tinygrad_tx.ops.kernels.rowwise import row_max, row_sum
from tinygrad_tx.ops.kernels.vecmath import exp32


def expand(b: Builder, node: Node) -> Node:
    (x,) = node.inputs
    last = len(x.shape) - 1
    shifted = b.subtract(x, b.stop_gradient(b.max(x, axes=(last,), keepdims=True)))
    powers = b.exp(shifted)
    result: Node = b.divide(powers, b.sum(powers, axes=(last,), keepdims=True))
    return result


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node]:
    return (b.softmax_gradient(node, cotangent),)


@kernel("softmax")
def run(ith: int, nth: int, operands: Any, arena: int) -> None:
    """Operands: rows, width, x, y (contiguous)."""
    width = operands[1]
    low, high = share(operands[0], ith, nth)
    for row in range(low, high):
        x, y = (
            floats(operands[2] + 4 * row * width, width),
            floats(operands[3] + 4 * row * width, width),
        )
        top = row_max(operands[2] + 4 * row * width, width)
        for j in range(width):
            y[j] = exp32(x[j] - top)
        scale = np.float32(1) / row_sum(operands[3] + 4 * row * width, width)
        for j in range(width):
            y[j] *= scale


def fits(node: Node) -> bool:
    return node.dtype == float32 and node.aval.size > 0


def lower(lowering: Lowering, node: Node) -> None:
    width = node.shape[-1]
    rows = node.aval.size // width
    shares = shares_of(node.aval.size, 4096, rows)
    lowering.call(run, rows, width, *lowering.reads, *lowering.writes, shares=shares)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((3,), (2, 5), (2, 3, 4), (0, 4), (2, 1)):
        yield Sample((rng.normal(size=shape),))


register(
    Operator(
        "softmax",
        infer=float_rows,
        gradient=gradient,
        expand=expand,
        inplace=(0,),
        lower=lower,
        fits=fits,
        reads="contiguous",
        writes="contiguous",
        row=TestRow(samples),
        formula="eˣⁱ / Σ eˣʲ",
    )
)
