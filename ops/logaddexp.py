"""logaddexp: the logarithm of a sum of exponentials, without overflow.

Maths: z = log(e^x + e^y); dz/dx = e^(x - z), dz/dy = e^(y - z). Shapes: equal (the Builder
broadcasts). Cost: elementwise, one pass over memory. Errors: ShapeError and DTypeError where the
operands differ.
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
    return b.exp(b.subtract(x, node)), b.exp(b.subtract(y, node))


register(
    Operator(
        "logaddexp",
        infer=floating,
        partials=partials,
        ufunc=np.logaddexp,
        emit=lambda dtype, x, y: f"np.logaddexp({x}, {y})",
        inplace=(0, 1),
        row=TestRow(elementwise(normal, normal)),
        formula="log(eˣ + eʸ)",
    )
)
