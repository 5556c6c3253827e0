"""divide: elementwise quotient.

Maths: z = x / y; dz/dx = 1/y, dz/dy = -z/y. Shapes: equal (the Builder broadcasts). Cost:
elementwise, one pass over memory.
Errors: ShapeError and DTypeError where the operands differ.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import floating


def partials(b: Builder, node: Node) -> tuple[Node | None, Node | None]:
    x, y = node.inputs
    return b.reciprocal(y), b.negative(b.divide(node, y))


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((), (3,), (2, 3), (0, 4)):
        yield Sample(
            (
                rng.normal(size=shape),
                rng.choice([-1.0, 1.0], size=shape) * rng.uniform(0.2, 2.0, size=shape),
            )
        )


register(
    Operator(
        "divide",
        infer=floating,
        partials=partials,
        ufunc=np.divide,
        emit=lambda dtype, x, y: f"({x} / {y})",
        inplace=(0, 1),
        row=TestRow(samples),
        formula="x / y",
    )
)
