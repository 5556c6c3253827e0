"""log10: the logarithm to base 10.

Maths: z = log10 x; dz/dx = 1 / (x ln 10). Shapes: any. Cost: elementwise, one pass over memory.
Errors: DTypeError for anything but floating-point numbers.
"""

from __future__ import annotations

import math

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import floating
from tinygrad_tx.ops.samples import elementwise, uniform


def partials(b: Builder, node: Node) -> tuple[Node | None]:
    (x,) = node.inputs
    return (b.reciprocal(b.multiply(x, math.log(10))),)


register(
    Operator(
        "log10",
        infer=floating,
        partials=partials,
        ufunc=np.log10,
        emit=lambda dtype, x: f"np.log10({x})",
        inplace=(0,),
        row=TestRow(elementwise(uniform(0.2, 3.0))),
        formula="log₁₀ x",
    )
)
