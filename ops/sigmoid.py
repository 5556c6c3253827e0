"""sigmoid: the logistic function.

Maths: z = 1/(1 + e^-x); dz/dx = z(1 - z). Shapes: any. Cost: elementwise, one pass over memory.
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
    return (b.multiply(node, b.subtract(1, node)),)


register(
    Operator(
        "sigmoid",
        infer=floating,
        partials=partials,
        reference=lambda x: 0.5 * (1 + np.tanh(0.5 * x)),
        emit=lambda dtype, x: f"sigmoid{dtype.itemsize * 8}({x})",
        inplace=(0,),
        row=TestRow(elementwise(normal)),
        formula="σ(x)",
    )
)
