"""sqrt: the square root.

Maths: z = x^(1/2); dz/dx = 1/(2z). Shapes: any. Cost: elementwise, one pass over memory.
Errors: DTypeError for anything but floating-point numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import floating


def partials(b: Builder, node: Node) -> tuple[Node | None]:
    (x,) = node.inputs
    return (b.divide(0.5, node),)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((), (3,), (2, 3), (0, 4)):
        yield Sample((rng.uniform(0.2, 3.0, size=shape),))


register(
    Operator(
        "sqrt",
        infer=floating,
        partials=partials,
        ufunc=np.sqrt,
        emit=lambda dtype, x: f"sqrt({x})",
        inplace=(0,),
        row=TestRow(samples),
        formula="√x",
    )
)
