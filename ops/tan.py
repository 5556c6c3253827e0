"""tan: the tangent.

Maths: z = tan x; dz/dx = 1 + z². Shapes: any. Cost: elementwise, one pass over memory.
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
    return (b.add(b.square(node), 1),)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((), (3,), (2, 3), (0, 4)):
        yield Sample((rng.uniform(-1.2, 1.2, size=shape),))


register(
    Operator(
        "tan",
        infer=floating,
        partials=partials,
        ufunc=np.tan,
        emit=lambda dtype, x: f"np.tan({x})",
        inplace=(0,),
        row=TestRow(samples),
        formula="tan x",
    )
)
