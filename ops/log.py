"""log: the natural logarithm.

Maths: z = ln x; dz/dx = 1/x. Shapes: any. Cost: elementwise, one pass over memory.
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
    return (b.reciprocal(x),)


register(
    Operator(
        "log",
        infer=floating,
        partials=partials,
        ufunc=np.log,
        emit=lambda dtype, x: f"log{dtype.itemsize * 8}({x})",
        inplace=(0,),
        row=TestRow(elementwise(uniform(0.2, 3.0))),
        formula="ln x",
    )
)
