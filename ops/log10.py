"""log10: the logarithm to base 10.

Maths: z = log10 x; dz/dx = 1 / (x ln 10). Shapes: any. Cost: elementwise, one pass over memory.
Errors: DTypeError for anything but floating-point numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import floating


def partials(b: Builder, node: Node) -> tuple[Node | None]:
    (x,) = node.inputs
    return (b.reciprocal(b.multiply(x, math.log(10))),)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((), (3,), (2, 3), (0, 4)):
        yield Sample((rng.uniform(0.2, 2.0, size=shape),))


register(
    Operator(
        "log10",
        infer=floating,
        partials=partials,
        ufunc=np.log10,
        emit=lambda dtype, x: f"np.log10({x})",
        inplace=(0,),
        row=TestRow(samples),
        formula="log₁₀ x",
    )
)
