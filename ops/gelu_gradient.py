"""gelu_gradient: derivative of gelu.

Maths: z = Phi(x) + x phi(x) with phi the normal density; the derivative of the tanh form where
`approximate`. Source: derived. Shapes: any. Errors: DTypeError for integers.
"""

from __future__ import annotations

import math

from tinygrad_tx.dtypes import DType
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops import gelu


def expand(b: Builder, node: Node) -> Node:
    (x,) = node.inputs
    if node.attrs["approximate"]:
        # t = tanh(u), u = c (x + a x^3): z = (1 + t)/2 + x/2 (1 - t^2) c (1 + 3 a x^2)
        scale = math.sqrt(2 / math.pi)
        square = b.square(x)
        u = b.multiply(b.add(x, b.multiply(b.multiply(x, square), 0.044715)), scale)
        t = b.tanh(u)
        slope = b.multiply(b.add(b.multiply(square, 3 * 0.044715), 1), scale)
        rest = b.multiply(b.multiply(x, b.subtract(1, b.square(t))), slope)
        result: Node = b.multiply(b.add(b.add(t, 1), rest), 0.5)
        return result
    cdf = b.multiply(b.add(b.erf(b.multiply(x, math.sqrt(0.5))), 1), 0.5)
    density = b.multiply(b.exp(b.multiply(b.square(x), -0.5)), 1 / math.sqrt(2 * math.pi))
    result = b.add(cdf, b.multiply(x, density))
    return result


def emit(dtype: DType, x: str, approximate: bool) -> str:
    return f"gelu{'_tanh' * approximate}_gradient{dtype.itemsize * 8}({x})"


register(
    Operator(
        "gelu_gradient",
        infer=gelu.infer,
        expand=expand,
        emit=emit,
        inplace=(0,),
        row=TestRow(gelu.samples),
        formula="Φ(x) + x φ(x)",
    )
)
