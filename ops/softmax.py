"""softmax: over the last axis.

Maths: z_i = e^(x_i) / sum_j e^(x_j); dL/dx = z (dL/dz - sum(z dL/dz)).
The largest element is taken out first, so that nothing overflows. Shapes: (..., n), n > 0.
Errors: ShapeError for 0-d or an empty last axis, DTypeError for integers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import float_rows
from tinygrad_tx.ops.kernels.kernel import floats, kernel, share
from tinygrad_tx.ops.kernels.rowwise import row_max, row_sum
from tinygrad_tx.ops.kernels.vecmath import exp32
from tinygrad_tx.ops.rows import float32_rows, row_by_row
from tinygrad_tx.ops.samples import normal, rowwise


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


register(
    Operator(
        "softmax",
        infer=float_rows,
        gradient=gradient,
        expand=expand,
        inplace=(0,),
        lower=row_by_row(run, 4096),
        fits=float32_rows,
        row=TestRow(rowwise(normal)),
        formula="eˣⁱ / Σ eˣʲ",
    )
)
