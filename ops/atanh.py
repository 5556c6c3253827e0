"""atanh: the inverse hyperbolic tangent.

Maths: z = atanh x; dz/dx = 1 / (1 - x²). NaN outside of -1 ... 1. Shapes: any. Cost: elementwise,
one pass over memory. Errors: DTypeError for anything but floating-point numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import floating


def partials(b: Builder, node: Node) -> tuple[Node | None]:
    (x,) = node.inputs
    return (b.reciprocal(b.subtract(1, b.square(x))),)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((), (3,), (2, 3), (0, 4)):
        yield Sample((rng.uniform(-0.9, 0.9, size=shape),))


register(
    Operator(
        "atanh",
        infer=floating,
        partials=partials,
        ufunc=np.arctanh,
        emit=lambda dtype, x: f"np.arctanh({x})",
        inplace=(0,),
        row=TestRow(samples),
        formula="atanh x",
    )
)
