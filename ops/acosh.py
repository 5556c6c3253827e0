"""acosh: the inverse hyperbolic cosine.

Maths: z = acosh x; dz/dx = 1 / sqrt(x² - 1). NaN below 1. Shapes: any. Cost: elementwise, one pass
over memory. Errors: DTypeError for anything but floating-point numbers.
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
    return (b.multiply(b.rsqrt(b.subtract(x, 1)), b.rsqrt(b.add(x, 1))),)


register(
    Operator(
        "acosh",
        infer=floating,
        partials=partials,
        ufunc=np.arccosh,
        emit=lambda dtype, x: f"np.arccosh({x})",
        inplace=(0,),
        row=TestRow(elementwise(uniform(1.2, 3.0))),
        formula="acosh x",
    )
)
