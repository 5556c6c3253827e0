"""rsqrt: one over the square root.

Maths: z = x^(-1/2); dz/dx = -z/(2x). Shapes: any. Cost: elementwise, one pass over memory.
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
    return (b.multiply(b.divide(node, x), -0.5),)


register(
    Operator(
        "rsqrt",
        infer=floating,
        partials=partials,
        reference=lambda x: 1 / np.sqrt(x),
        emit=lambda dtype, x: f"rsqrt{dtype.itemsize * 8}({x})",
        inplace=(0,),
        row=TestRow(elementwise(uniform(0.2, 3.0))),
        formula="1/√x",
    )
)
