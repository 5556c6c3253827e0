"""reciprocal: one over x.

Maths: z = 1/x; dz/dx = -z². Shapes: any. Cost: elementwise, one pass over memory.
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
    return (b.negative(b.multiply(node, node)),)


register(
    Operator(
        "reciprocal",
        infer=floating,
        partials=partials,
        ufunc=np.reciprocal,
        emit=lambda dtype, x: f"(np.float{dtype.itemsize * 8}(1) / {x})",
        inplace=(0,),
        row=TestRow(elementwise(away_from_zero)),
        formula="1/x",
    )
)
