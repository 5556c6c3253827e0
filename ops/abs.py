"""abs: the absolute value.

Maths: z = |x|; dz/dx = sign(x), 0 at 0. Shapes: any. Cost: elementwise, one pass over memory.
Errors: DTypeError for bool.
"""

from __future__ import annotations

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import numeric
from tinygrad_tx.ops.samples import away_from_zero, elementwise


def partials(b: Builder, node: Node) -> tuple[Node | None]:
    (x,) = node.inputs
    return (b.sign(x),)


register(
    Operator(
        "abs",
        infer=numeric,
        partials=partials,
        ufunc=np.abs,
        emit=lambda dtype, x: f"abs({x})",
        inplace=(0,),
        row=TestRow(elementwise(away_from_zero), kinks=(0.0,)),
        formula="|x|",
    )
)
