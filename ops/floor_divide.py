"""floor_divide: the quotient rounded down.

Maths: z = floor(x / y); dz/dx = dz/dy = 0. Shapes: equal (the Builder broadcasts). Cost:
elementwise, one pass over memory.
Errors: ShapeError and DTypeError where the operands differ.
"""

from __future__ import annotations

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import numeric
from tinygrad_tx.ops.samples import elementwise, one_of, uniform


def partials(b: Builder, node: Node) -> tuple[Node | None, Node | None]:
    x, y = node.inputs
    del b, x, y
    return None, None


register(
    Operator(
        "floor_divide",
        infer=numeric,
        partials=partials,
        ufunc=np.floor_divide,
        emit=lambda dtype, x, y: f"np.floor_divide({x}, {y})",
        inplace=(0, 1),
        row=TestRow(elementwise(uniform(2.1, 2.9), one_of(-1.0, 1.0))),
        formula="⌊x / y⌋",
    )
)
