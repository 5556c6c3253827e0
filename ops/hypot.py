"""hypot: the length of (x, y), without overflow on the way.

Maths: z = sqrt(x² + y²); dz/dx = x / z, dz/dy = y / z. Shapes: equal (the Builder broadcasts).
Cost: elementwise, one pass over memory. Errors: ShapeError and DTypeError where the operands
differ.
"""

from __future__ import annotations

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import floating
from tinygrad_tx.ops.samples import away_from_zero, elementwise


def partials(b: Builder, node: Node) -> tuple[Node | None, Node | None]:
    x, y = node.inputs
    return b.divide(x, node), b.divide(y, node)


register(
    Operator(
        "hypot",
        infer=floating,
        partials=partials,
        ufunc=np.hypot,
        emit=lambda dtype, x, y: f"np.hypot({x}, {y})",
        inplace=(0, 1),
        row=TestRow(elementwise(away_from_zero, away_from_zero)),
        formula="√(x² + y²)",
    )
)
