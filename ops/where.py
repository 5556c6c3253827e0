"""where: x where the condition holds, else y.

Maths: z = c ? x : y; dz/dx = c, dz/dy = 1 - c. Shapes: equal (the Builder broadcasts).
Errors: DTypeError for a condition that is not bool, or operands of unlike dtypes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_tx.dtypes import bool_
from tinygrad_tx.errors import DTypeError, Rejected
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Aval, Node, Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import alike
from tinygrad_tx.ops.samples import booleans, elementwise, normal

Array = np.ndarray[Any, Any]


def infer(condition: Aval, x: Aval, y: Aval) -> Aval:
    if condition.dtype != bool_:
        raise Rejected(DTypeError, f"the condition is {condition.dtype}, not bool", "compare first")
    return alike(x, y)


def partials(b: Builder, node: Node) -> tuple[None, Node, Node]:
    chosen = b.astype(node.inputs[0], dtype=node.dtype)
    return None, chosen, b.subtract(1, chosen)


def reference(condition: Array, x: Array, y: Array) -> Array:
    return np.where(condition, x, y)


register(
    Operator(
        "where",
        infer=infer,
        partials=partials,
        reference=reference,
        emit=lambda dtype, c, x, y: f"({x} if {c} else {y})",
        inplace=(1, 2),
        row=TestRow(elementwise(booleans, normal, normal)),
        formula="c ? x : y",
    )
)
