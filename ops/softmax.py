"""softmax: over the last axis.

Maths: z_i = e^(x_i) / sum_j e^(x_j); dL/dx = z (dL/dz - sum(z dL/dz)).
The largest element is taken out first, so that nothing overflows. Shapes: (..., n), n > 0.
Errors: ShapeError for 0-d or an empty last axis, DTypeError for integers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Aval, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import float_rows

def expand(b: Builder, node: Node) -> Node:
    (x,) = node.inputs
    last = len(x.shape) - 1
    shifted = b.subtract(x, b.stop_gradient(b.max(x, axes=(last,), keepdims=True)))
    powers = b.exp(shifted)
    result: Node = b.divide(powers, b.sum(powers, axes=(last,), keepdims=True))
    return result


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node]:
    return (b.softmax_gradient(node, cotangent),)


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
        row=TestRow(samples),
        formula="eˣⁱ / Σ eˣʲ",
    )
)
