"""round: the nearest integer, halves to even.

Maths: z = round(x); dz/dx = 0. Shapes: any. Cost: elementwise, one pass over memory.
Errors: DTypeError for anything but floating-point numbers.
"""

from __future__ import annotations

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import floating
from tinygrad_tx.ops.samples import between_integers, elementwise


def partials(b: Builder, node: Node) -> tuple[Node | None]:
    (x,) = node.inputs
    return (None,)


register(
    Operator(
        "round",
        infer=floating,
        partials=partials,
        ufunc=np.rint,
        emit=lambda dtype, x: f"np.rint({x})",
        inplace=(0,),
        row=TestRow(elementwise(between_integers)),
        formula="round(x)",
    )
)
