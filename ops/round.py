"""round: the nearest integer, halves to even.

Maths: z = round(x); dz/dx = 0. Shapes: any. Cost: elementwise, one pass over memory.
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
    return (None,)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((), (3,), (2, 3), (0, 4)):
        yield Sample((rng.integers(-3, 3, size=shape) + rng.uniform(0.1, 0.4, size=shape),))


register(
    Operator(
        "round",
        infer=floating,
        partials=partials,
        ufunc=np.rint,
        emit=lambda dtype, x: f"np.rint({x})",
        inplace=(0,),
        row=TestRow(samples),
        formula="round(x)",
    )
)
