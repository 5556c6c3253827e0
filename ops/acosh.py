"""acosh: the inverse hyperbolic cosine.

Maths: z = acosh x; dz/dx = 1 / sqrt(x² - 1). NaN below 1. Shapes: any. Cost: elementwise, one pass
over memory. Errors: DTypeError for anything but floating-point numbers.
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
    return (b.multiply(b.rsqrt(b.subtract(x, 1)), b.rsqrt(b.add(x, 1))),)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((), (3,), (2, 3), (0, 4)):
        yield Sample((rng.uniform(1.2, 3.0, size=shape),))


register(
    Operator(
        "acosh",
        infer=floating,
        partials=partials,
        ufunc=np.arccosh,
        emit=lambda dtype, x: f"np.arccosh({x})",
        inplace=(0,),
        row=TestRow(samples),
        formula="acosh x",
    )
)
