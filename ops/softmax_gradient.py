"""softmax_gradient: from the result y of softmax and its cotangent to that of x.

Maths: y (dy - sum(y dy)). Shapes: alike, (..., n).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import float_rows
from tinygrad_tx.ops.kernels.kernel import floats, kernel, share
from tinygrad_tx.ops.rows import float32_rows, row_by_row
from tinygrad_tx.ops.samples import normal, rowwise


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


@kernel("softmax_gradient")
def run(ith: int, nth: int, operands: Any, arena: int) -> None:
    """Operands: rows, width, y, dy, dx (contiguous)."""
    width = operands[1]
    low, high = share(operands[0], ith, nth)
    for row in range(low, high):
        at = 4 * row * width
        y, dy = floats(operands[2] + at, width), floats(operands[3] + at, width)
        dx = floats(operands[4] + at, width)
        inner = np.float32(0)
        for j in range(width):
            inner += y[j] * dy[j]
        for j in range(width):
            dx[j] = y[j] * (dy[j] - inner)


register(
    Operator(
        "softmax_gradient",
        infer=float_rows,
        gradient=gradient,
        expand=expand,
        lower=row_by_row(run, 8192),
        fits=float32_rows,
        inplace=(0, 1),
        row=TestRow(rowwise(normal, normal)),
        formula="y (ẏ - Σ y ẏ)",
    )
)
