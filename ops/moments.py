"""moments: the mean of each row of the last axis, and one over its standard deviation.

Maths: m = mean(x), s = 1 / sqrt(mean((x - m)^2) + epsilon); dx = (dm - ds s^3 (x - m)) / width.
Shapes: (..., width) -> (..., 1) twice.
What stands inside of layer_norm, for who looks at its scale. Source: Ba et al. 2016, equation 3.
Errors: ShapeError, DTypeError.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import float32
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.lowering import Lowering, shares_of
from tinygrad_tx.graph.node import Aval, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import float_rows
from tinygrad_tx.ops.kernels.kernel import as_float, floats, kernel, share
from tinygrad_tx.ops.kernels.rowwise import row_moments


def infer(x: Aval, epsilon: float) -> tuple[Aval, Aval]:
    del epsilon
    rows = float_rows(x)
    one = Aval((*rows.shape[:-1], 1), x.dtype)
    return one, one


def expand(b: Builder, node: Node) -> tuple[Node, Node]:
    (x,) = node.inputs
    last, width = len(x.shape) - 1, x.shape[-1]
    mean = b.multiply(b.sum(x, axes=(last,), keepdims=True), 1 / width)
    square = b.square(b.subtract(x, mean))
    variance = b.multiply(b.sum(square, axes=(last,), keepdims=True), 1 / width)
    return mean, b.rsqrt(b.add(variance, node.attrs["epsilon"]))


def gradient(b: Builder, node: Node, dmean: Node | None, dscale: Node | None) -> tuple[Node]:
    (x,) = node.inputs
    mean, scale = b.apply(node.op, x, **node.attrs)
    change = b.full(mean.shape, 0, x.dtype) if dmean is None else dmean
    if dscale is not None:
        cube = b.multiply(b.square(scale), b.multiply(scale, dscale))
        change = b.subtract(change, b.multiply(cube, b.subtract(x, mean)))
    return (b.multiply(b.broadcast_to(change, x.shape), 1 / x.shape[-1]),)


@kernel("moments")
def run(ith: int, nth: int, operands: Any, arena: int) -> None:
    """Operands: rows, width, x (contiguous), mean, scale, epsilon."""
    width, epsilon = operands[1], np.float32(as_float(operands[5]))
    low, high = share(operands[0], ith, nth)
    for row in range(low, high):
        mean, scale = row_moments(operands[2] + 4 * row * width, width, epsilon)
        floats(operands[3] + 4 * row, 1)[0] = mean
        floats(operands[4] + 4 * row, 1)[0] = scale


def fits(node: Node) -> bool:
    return node.dtype == float32 and node.inputs[0].aval.size > 0


def lower(lowering: Lowering, node: Node) -> None:
    x = node.inputs[0].aval
    width = x.shape[-1]
    rows = x.size // width
    shares = shares_of(x.size, 8192, rows)
    operands = (*lowering.reads, *lowering.writes, float(node.attrs["epsilon"]))
    lowering.call(run, rows, width, *operands, shares=shares)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((3,), (2, 5), (2, 3, 4)):
        yield Sample((rng.normal(size=shape),), {"epsilon": 1e-5})


register(
    Operator(
        "moments",
        infer=infer,
        gradient=gradient,
        expand=expand,
        lower=lower,
        fits=fits,
        row=TestRow(samples, tolerance=5e-6),
        formula="μ, 1 / √(σ² + ε)",
    )
)
