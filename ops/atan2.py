"""atan2: the angle of the point (y, x), from -pi to pi.

Maths: z = atan2(x, y), so tan z = x / y in the quadrant of both signs; dz/dx = y / (x² + y²), dz/dy
= -x / (x² + y²). Shapes: equal (the Builder broadcasts). Cost: elementwise, one pass over memory.
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
    square = b.add(b.square(x), b.square(y))
    return b.divide(y, square), b.negative(b.divide(x, square))


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((), (3,), (2, 3), (0, 4)):
        x, y = (
            rng.choice([-1.0, 1.0], size=shape) * rng.uniform(0.2, 2.0, size=shape)
            for _ in range(2)
        )
        yield Sample((x, y))


register(
    Operator(
        "atan2",
        infer=floating,
        partials=partials,
        ufunc=np.arctan2,
        emit=lambda dtype, x, y: f"np.arctan2({x}, {y})",
        inplace=(0, 1),
        row=TestRow(samples),
        formula="atan2(x, y)",
    )
)
