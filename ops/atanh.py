"""atanh: the inverse hyperbolic tangent.

Maths: z = atanh x; dz/dx = 1 / (1 - x²). NaN outside of -1 ... 1. Shapes: any. Cost: elementwise,
one pass over memory. Errors: DTypeError for anything but floating-point numbers.
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
    return (b.reciprocal(b.subtract(1, b.square(x))),)


register(
    Operator(
        "atanh",
        infer=floating,
        partials=partials,
        ufunc=np.arctanh,
        emit=lambda dtype, x: f"np.arctanh({x})",
        inplace=(0,),
        row=TestRow(elementwise(uniform(-0.9, 0.9))),
        formula="atanh x",
    )
)
