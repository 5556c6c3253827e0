"""square: x times x.

Maths: z = x²; dz/dx = 2x. Shapes: any. Cost: elementwise, one pass over memory.
Errors: DTypeError for bool.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import numeric


def partials(b: Builder, node: Node) -> tuple[Node | None]:
    (x,) = node.inputs
    return (b.multiply(x, 2),)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((), (3,), (2, 3), (0, 4)):
        yield Sample((rng.normal(size=shape),))


register(
    Operator(
        "square",
        infer=numeric,
        partials=partials,
        ufunc=np.square,
        emit=lambda dtype, x: f"({x} * {x})",
        inplace=(0,),
        row=TestRow(samples),
        formula="x²",
    )
)
