"""multiply: elementwise product.

Maths: z = x * y; dz/dx = y, dz/dy = x. Shapes: equal (the Builder broadcasts).
Cost: one FLOP an element. Errors: DTypeError for bool or unequal dtypes.
"""

from __future__ import annotations

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import numeric
from tinygrad_tx.ops.samples import elementwise, normal


def partials(b: Builder, node: Node) -> tuple[Node, Node]:
    x, y = node.inputs
    return y, x


register(
    Operator(
        "multiply",
        infer=numeric,
        partials=partials,
        ufunc=np.multiply,
        emit=lambda dtype, x, y: f"({x} * {y})",
        inplace=(0, 1),
        row=TestRow(elementwise(normal, normal)),
        formula="x · y",
    )
)
