"""expm1: e^x - 1, exact near 0.

Maths: z = e^x - 1; dz/dx = e^x. Shapes: any. Cost: elementwise, one pass over memory.
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
    return (b.exp(x),)


register(
    Operator(
        "expm1",
        infer=floating,
        partials=partials,
        ufunc=np.expm1,
        emit=lambda dtype, x: f"expm1{dtype.itemsize * 8}({x})",
        inplace=(0,),
        row=TestRow(elementwise(normal)),
        formula="eˣ - 1",
    )
)
