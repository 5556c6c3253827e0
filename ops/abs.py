"""abs: the absolute value.

Maths: z = |x|; dz/dx = sign(x), 0 at 0. Shapes: any. Cost: elementwise, one pass over memory.
Errors: DTypeError for bool.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import numeric


def partials(b: Builder, node: Node) -> tuple[Node | None]:
    (x,) = node.inputs
    return (b.sign(x),)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((), (3,), (2, 3), (0, 4)):
        yield Sample((rng.choice([-1.0, 1.0], size=shape) * rng.uniform(0.2, 2.0, size=shape),))


register(
    Operator(
        "abs",
        infer=numeric,
        partials=partials,
        ufunc=np.abs,
        emit=lambda dtype, x: f"abs({x})",
        inplace=(0,),
        row=TestRow(samples, kinks=(0.0,)),
        formula="|x|",
    )
)
