"""minimum: the smaller of two; NaN if either is.

Maths: z = min(x, y); the gradient goes to the chosen one. Shapes: equal (the Builder broadcasts).
Cost: elementwise, one pass over memory.
Errors: ShapeError and DTypeError where the operands differ.
"""

from __future__ import annotations

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import floating
from tinygrad_tx.ops.samples import elementwise, normal


def partials(b: Builder, node: Node) -> tuple[Node | None, Node | None]:
    x, y = node.inputs
    # Equal operands share the gradient evenly.
    first = b.astype(b.less(x, y), dtype=x.dtype)
    half = b.multiply(b.astype(b.equal(x, y), dtype=x.dtype), 0.5)
    return b.add(first, half), b.subtract(1, b.add(first, half))


register(
    Operator(
        "minimum",
        infer=floating,
        partials=partials,
        ufunc=np.minimum,
        emit=lambda dtype, x, y: f"minimum{dtype.itemsize * 8}({x}, {y})",
        inplace=(0, 1),
        row=TestRow(elementwise(normal, normal)),
        formula="min(x, y)",
    )
)
