"""nextafter: the next number after x that the dtype can hold, towards y.

Maths: z = x but for the last place; dz/dx = 1, dz/dy = 0. Shapes: equal (the Builder broadcasts).
Cost: elementwise, one pass over memory.
Errors: ShapeError and DTypeError where the operands differ.
"""

from __future__ import annotations

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import floating
from tinygrad_tx.ops.samples import elementwise, normal


def partials(b: Builder, node: Node) -> tuple[Node | None, Node | None]:
    x, y = node.inputs
    return b.full(x.shape, 1, x.dtype), None


register(
    Operator(
        "nextafter",
        infer=floating,
        partials=partials,
        ufunc=np.nextafter,
        emit=lambda dtype, x, y: f"np.nextafter({x}, {y})",
        inplace=(0, 1),
        row=TestRow(elementwise(normal, normal)),
        formula="next after x towards y",
    )
)
