"""log_softmax: over the last axis.

Maths: z_i = x_i - log sum_j e^(x_j); dL/dx = dL/dz - e^z sum(dL/dz).
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
from tinygrad_tx.ops.kernels.rowwise import row_max
from tinygrad_tx.ops.kernels.vecmath import exp32, log32
from tinygrad_tx.ops.rows import float32_rows, row_by_row
from tinygrad_tx.ops.samples import normal, rowwise


def expand(b: Builder, node: Node) -> Node:
    (x,) = node.inputs
    last = len(x.shape) - 1
    shifted = b.subtract(x, b.stop_gradient(b.max(x, axes=(last,), keepdims=True)))
    total = b.sum(b.exp(shifted), axes=(last,), keepdims=True)
    result: Node = b.subtract(shifted, b.log(total))
    return result


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node]:
    return (b.log_softmax_gradient(node, cotangent),)


@kernel("log_softmax")
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
        total = np.float32(0)
        for j in range(width):
            total += exp32(x[j] - top)
        shift = top + log32(total)
        for j in range(width):
            y[j] = x[j] - shift


register(
    Operator(
        "log_softmax",
        infer=float_rows,
        gradient=gradient,
        expand=expand,
        inplace=(0,),
        lower=row_by_row(run, 4096),
        fits=float32_rows,
        row=TestRow(rowwise(normal)),
        formula="xᵢ - log Σ eˣʲ",
    )
)
