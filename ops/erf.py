"""erf: the error function.

Maths: z = 2/sqrt(pi) int_0^x exp(-t²) dt; dz/dx = 2/sqrt(pi) exp(-x²). Shapes: any. Cost:
elementwise, one pass over memory.
Errors: DTypeError for anything but floating-point numbers.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import floating
from tinygrad_tx.ops.samples import elementwise, normal

TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)
_erf = np.vectorize(math.erf, otypes=[np.float64])


def reference(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return _erf(x).astype(x.dtype) if x.size else x


def partials(b: Builder, node: Node) -> tuple[Node | None]:
    (x,) = node.inputs
    return (b.multiply(b.exp(b.negative(b.square(x))), TWO_OVER_ROOT_PI),)


register(
    Operator(
        "erf",
        infer=floating,
        partials=partials,
        reference=reference,
        emit=lambda dtype, x: f"erf{dtype.itemsize * 8}({x})",
        inplace=(0,),
        row=TestRow(elementwise(normal)),
        formula="erf x",
    )
)
