"""sqrt: the square root.

Maths: z = x^(1/2); dz/dx = 1/(2z). Shapes: any. Cost: elementwise, one pass over memory.
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
    return (b.divide(0.5, node),)


register(
    Operator(
        "sqrt",
        infer=floating,
        partials=partials,
        ufunc=np.sqrt,
        emit=lambda dtype, x: f"sqrt({x})",
        inplace=(0,),
        row=TestRow(elementwise(uniform(0.2, 3.0))),
        formula="√x",
    )
)
