"""require_finite: x itself, and an error if it holds a NaN or an infinity.

Inside a captured step the error comes before any state has changed. Errors: NonFiniteError.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_tx.dtypes import float32
from tinygrad_tx.errors import NonFiniteError, explain
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.lowering import Lowering
from tinygrad_tx.graph.node import Aval, Node, Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.kernels.kernel import NOT_FINITE, floats, kernel, report
from tinygrad_tx.ops.samples import elementwise, normal

Array = np.ndarray[Any, Any]


def infer(x: Aval, what: str = "value") -> Aval:
    del what
    return x


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node]:
    del b, node
    return (cotangent,)


def reference(x: Array, what: str = "value") -> Array:
    if not np.isfinite(x).all():
        raise NonFiniteError(explain(what, "is not finite"))
    return x


@kernel("require_finite")
def run(ith: int, nth: int, operands: Any, arena: int) -> None:
    """Operands: size, x, z, tag."""
    x, z = floats(operands[1], operands[0]), floats(operands[2], operands[0])
    for i in range(operands[0]):
        # x - x is NaN, and so not 0, for a NaN and for an infinity.
        if x[i] - x[i] != 0:
            report(arena, NOT_FINITE, operands[3], i)
        z[i] = x[i]


def fits(node: Node) -> bool:
    return node.dtype == float32


def lower(lowering: Lowering, node: Node) -> None:
    (x,), (z,) = lowering.reads, lowering.writes
    lowering.call(run, z.size, x, z, lowering.tag)


register(
    Operator(
        "require_finite",
        infer=infer,
        linear_in=(0,),
        gradient=gradient,
        reference=reference,
        lower=lower,
        fits=fits,
        row=TestRow(elementwise(normal)),
        formula="x",
    )
)
