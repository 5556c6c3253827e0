"""gelu: Gaussian error linear unit.

Maths: z = x Phi(x) with Phi the normal distribution function; approximate:
z = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). Source: Hendrycks and Gimpel 2016, section 2.
Shapes: any. Cost: one exp and one division an element. Errors: DTypeError for integers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tinygrad_tx.dtypes import DType
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Aval, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import floating


def expand(b: Builder, node: Node) -> Node:
    (x,) = node.inputs
    if node.attrs["approximate"]:
        cubic = b.multiply(b.multiply(x, b.square(x)), 0.044715)
        inner = b.multiply(b.add(x, cubic), math.sqrt(2 / math.pi))
        phi = b.multiply(b.add(b.tanh(inner), 1), 0.5)
    else:
        phi = b.multiply(b.add(b.erf(b.multiply(x, math.sqrt(0.5))), 1), 0.5)
    result: Node = b.multiply(x, phi)
    return result


def infer(x: Aval, approximate: bool) -> Aval:
    del approximate
    return floating(x)


def partials(b: Builder, node: Node) -> tuple[Node]:
    return (b.gelu_gradient(*node.inputs, **node.attrs),)


def emit(dtype: DType, x: str, approximate: bool) -> str:
    return f"gelu{'_tanh' * approximate}{dtype.itemsize * 8}({x})"


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((), (3,), (2, 3), (0, 4)):
        for approximate in (False, True):
            yield Sample((rng.normal(size=shape),), {"approximate": approximate})


register(
    Operator(
        "gelu",
        infer=infer,
        partials=partials,
        expand=expand,
        emit=emit,
        inplace=(0,),
        row=TestRow(samples),
        formula="x Φ(x)",
    )
)
