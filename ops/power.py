"""power: x to the y.

Maths: z = x^y; dz/dx = y x^(y-1), dz/dy = z ln x. Shapes: equal (the Builder broadcasts). Cost:
elementwise, one pass over memory.
Errors: ShapeError and DTypeError where the operands differ.
"""

from __future__ import annotations

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import floating
from tinygrad_tx.ops.samples import elementwise, normal, uniform


def partials(b: Builder, node: Node) -> tuple[Node | None, Node | None]:
    x, y = node.inputs
    # Where x is 0 its logarithm does not count: 0**y does not move with y > 0.
    safe = b.where(b.greater(x, 0), x, b.full(x.shape, 1, x.dtype))
    return b.multiply(y, b.power(x, b.subtract(y, 1))), b.multiply(node, b.log(safe))


register(
    Operator(
        "power",
        infer=floating,
        partials=partials,
        ufunc=np.power,
        emit=lambda dtype, x, y: f"power{dtype.itemsize * 8}({x}, {y})",
        inplace=(0, 1),
        row=TestRow(elementwise(uniform(0.2, 3.0), normal)),
        formula="xʸ",
    )
)
