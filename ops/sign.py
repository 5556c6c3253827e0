"""sign: -1, 0 or 1 by the sign.

Maths: z = sign(x); dz/dx = 0. Shapes: any. Cost: elementwise, one pass over memory.
Errors: DTypeError for anything but floating-point numbers.
"""

from __future__ import annotations

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import floating
from tinygrad_tx.ops.samples import away_from_zero, elementwise


def partials(b: Builder, node: Node) -> tuple[Node | None]:
    (x,) = node.inputs
    return (None,)


register(
    Operator(
        "sign",
        infer=floating,
        partials=partials,
        ufunc=np.sign,
        emit=lambda dtype, x: f"sign{dtype.itemsize * 8}({x})",
        inplace=(0,),
        row=TestRow(elementwise(away_from_zero), kinks=(0.0,)),
        formula="sign x",
    )
)
