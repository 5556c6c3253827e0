"""log_softmax: over the last axis.

Maths: z_i = x_i - log sum_j e^(x_j); dL/dx = dL/dz - e^z sum(dL/dz).
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
    total = b.sum(b.exp(shifted), axes=(last,), keepdims=True)
    result: Node = b.subtract(shifted, b.log(total))
    return result


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node]:
    return (b.log_softmax_gradient(node, cotangent),)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((3,), (2, 5), (2, 3, 4), (0, 4), (2, 1)):
        yield Sample((rng.normal(size=shape),))


register(
    Operator(
        "log_softmax",
        infer=float_rows,
        gradient=gradient,
        expand=expand,
        inplace=(0,),
        row=TestRow(samples),
        formula="xᵢ - log Σ eˣʲ",
    )
)
