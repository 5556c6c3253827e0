"""log_softmax_gradient: from the result y of log_softmax and its cotangent to that of x.

Maths: dy - e^y sum(dy). Shapes: alike, (..., n).
"""

from __future__ import annotations

from typing import Any

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import float_rows
from tinygrad_tx.ops.kernels.kernel import floats, kernel, share
from tinygrad_tx.ops.kernels.rowwise import row_sum
from tinygrad_tx.ops.kernels.vecmath import exp32
from tinygrad_tx.ops.rows import float32_rows, row_by_row
from tinygrad_tx.ops.samples import normal, rowwise


def expand(b: Builder, node: Node) -> Node:
    y, cotangent = node.inputs
    last = len(y.shape) - 1
    total = b.sum(cotangent, axes=(last,), keepdims=True)
    result: Node = b.subtract(cotangent, b.multiply(b.exp(y), total))
    return result


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node, Node]:
    y, dy = node.inputs
    last = len(y.shape) - 1
    # z = dy - e^y s, s = sum(dy).
    powers = b.exp(y)
    total = b.sum(dy, axes=(last,), keepdims=True)
    weighted = b.multiply(powers, cotangent)
    to_y = b.negative(b.multiply(weighted, total))
    return to_y, b.subtract(cotangent, b.sum(weighted, axes=(last,), keepdims=True))


@kernel("log_softmax_gradient")
def run(ith: int, nth: int, operands: Any, arena: int) -> None:
    """Operands: rows, width, y, dy, dx (contiguous)."""
    width = operands[1]
    low, high = share(operands[0], ith, nth)
    for row in range(low, high):
        at = 4 * row * width
        y, dy = floats(operands[2] + at, width), floats(operands[3] + at, width)
        dx = floats(operands[4] + at, width)
        total = row_sum(operands[3] + at, width)
        for j in range(width):
            dx[j] = dy[j] - exp32(y[j]) * total


register(
    Operator(
        "log_softmax_gradient",
        infer=float_rows,
        gradient=gradient,
        expand=expand,
        lower=row_by_row(run, 8192),
        fits=float32_rows,
        inplace=(0, 1),
        row=TestRow(rowwise(normal, normal)),
        formula="ẏ - eʸ Σ ẏ",
    )
)
