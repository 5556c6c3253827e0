"""exp: the exponential.

Maths: z = e^x; dz/dx = z. Shapes: any. Cost: elementwise, one pass over memory.
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
    return (node,)


register(
    Operator(
        "exp",
        infer=floating,
        partials=partials,
        ufunc=np.exp,
        emit=lambda dtype, x: f"exp{dtype.itemsize * 8}({x})",
        inplace=(0,),
        row=TestRow(elementwise(normal)),
        formula="eˣ",
    )
)
