"""hypot: the length of (x, y), without overflow on the way.

Maths: z = sqrt(x² + y²); dz/dx = x / z, dz/dy = y / z. Shapes: equal (the Builder broadcasts).
Cost: elementwise, one pass over memory. Errors: ShapeError and DTypeError where the operands
differ.
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
    return b.divide(x, node), b.divide(y, node)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((), (3,), (2, 3), (0, 4)):
        x, y = (
            rng.choice([-1.0, 1.0], size=shape) * rng.uniform(0.2, 2.0, size=shape)
            for _ in range(2)
        )
        yield Sample((x, y))


register(
    Operator(
        "hypot",
        infer=floating,
        partials=partials,
        ufunc=np.hypot,
        emit=lambda dtype, x, y: f"np.hypot({x}, {y})",
        inplace=(0, 1),
        row=TestRow(samples),
        formula="√(x² + y²)",
    )
)
