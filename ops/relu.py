"""relu: the positive part.

Maths: z = max(x, 0); dz/dx = 1 where x > 0, else 0 (also at 0). Shapes: any. Cost: elementwise, one
pass over memory.
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
    return (b.astype(b.greater(x, 0), dtype=x.dtype),)


register(
    Operator(
        "relu",
        infer=floating,
        partials=partials,
        reference=lambda x: np.maximum(x, 0),
        emit=lambda dtype, x: (
            f"({x} if ({x} > 0 or {x} != {x}) else np.float{dtype.itemsize * 8}(0))"
        ),
        inplace=(0,),
        row=TestRow(elementwise(away_from_zero), kinks=(0.0,)),
        formula="max(x, 0)",
    )
)
