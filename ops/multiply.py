"""multiply: elementwise product.

Maths: z = x * y; dz/dx = y, dz/dy = x. Shapes: equal (the Builder broadcasts).
Cost: one FLOP an element. Errors: DTypeError for bool or unequal dtypes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import numeric


def partials(b: Builder, node: Node) -> tuple[Node, Node]:
    x, y = node.inputs
    return y, x


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((), (3,), (2, 3), (0, 4)):
        yield Sample((rng.normal(size=shape), rng.normal(size=shape)))


register(
    Operator(
        "multiply",
        infer=numeric,
        partials=partials,
        ufunc=np.multiply,
        emit=lambda dtype, x, y: f"({x} * {y})",
        inplace=(0, 1),
        row=TestRow(samples),
        formula="x · y",
    )
)
