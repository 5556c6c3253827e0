"""log1p: ln(1 + x), exact near 0.

Maths: z = ln(1 + x); dz/dx = 1/(1 + x). Shapes: any. Cost: elementwise, one pass over memory.
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
    return (b.reciprocal(b.add(x, 1)),)


register(
    Operator(
        "log1p",
        infer=floating,
        partials=partials,
        ufunc=np.log1p,
        emit=lambda dtype, x: f"log1p{dtype.itemsize * 8}({x})",
        inplace=(0,),
        row=TestRow(elementwise(uniform(0.2, 3.0))),
        formula="ln(1 + x)",
    )
)
