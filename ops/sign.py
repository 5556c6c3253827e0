"""sign: -1, 0 or 1 by the sign.

Maths: z = sign(x); dz/dx = 0. Shapes: any. Cost: elementwise, one pass over memory.
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
        yield Sample((rng.choice([-1.0, 1.0], size=shape) * rng.uniform(0.2, 2.0, size=shape),))


register(
    Operator(
        "sign",
        infer=floating,
        partials=partials,
        ufunc=np.sign,
        emit=lambda dtype, x: f"sign{dtype.itemsize * 8}({x})",
        inplace=(0,),
        row=TestRow(samples, kinks=(0.0,)),
        formula="sign x",
    )
)
