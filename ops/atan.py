"""atan: the inverse tangent, from -pi/2 to pi/2.

Maths: z = atan x; dz/dx = 1 / (1 + x²). Shapes: any. Cost: elementwise, one pass over memory.
Errors: DTypeError for anything but floating-point numbers.
"""

from __future__ import annotations

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import floating
from tinygrad_tx.ops.samples import elementwise, normal


def partials(b: Builder, node: Node) -> tuple[Node | None]:
    (x,) = node.inputs
    return (b.reciprocal(b.add(b.square(x), 1)),)


register(
    Operator(
        "atan",
        infer=floating,
        partials=partials,
        ufunc=np.arctan,
        emit=lambda dtype, x: f"np.arctan({x})",
        inplace=(0,),
        row=TestRow(elementwise(normal)),
        formula="atan x",
    )
)
