"""negative: the sign turned.

Maths: z = -x; dz/dx = -1. Shapes: any. Cost: elementwise, one pass over memory.
Errors: DTypeError for bool.
"""

from __future__ import annotations

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import numeric
from tinygrad_tx.ops.samples import elementwise, normal


def partials(b: Builder, node: Node) -> tuple[Node | None]:
    (x,) = node.inputs
    return (b.full(x.shape, -1, x.dtype),)


register(
    Operator(
        "negative",
        infer=numeric,
        partials=partials,
        ufunc=np.negative,
        emit=lambda dtype, x: f"(-{x})",
        inplace=(0,),
        row=TestRow(elementwise(normal)),
        formula="-x",
    )
)
