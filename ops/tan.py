"""tan: the tangent.

Maths: z = tan x; dz/dx = 1 + z². Shapes: any. Cost: elementwise, one pass over memory.
Errors: DTypeError for anything but floating-point numbers.
"""

from __future__ import annotations

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import floating
from tinygrad_tx.ops.samples import elementwise, uniform


def partials(b: Builder, node: Node) -> tuple[Node | None]:
    (x,) = node.inputs
    return (b.add(b.square(node), 1),)


register(
    Operator(
        "tan",
        infer=floating,
        partials=partials,
        ufunc=np.tan,
        emit=lambda dtype, x: f"np.tan({x})",
        inplace=(0,),
        row=TestRow(elementwise(uniform(-1.2, 1.2))),
        formula="tan x",
    )
)
