"""log1p: ln(1 + x), exact near 0.

Maths: z = ln(1 + x); dz/dx = 1/(1 + x). Shapes: any. Cost: elementwise, one pass over memory.
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
    return (b.reciprocal(b.add(x, 1)),)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((), (3,), (2, 3), (0, 4)):
        yield Sample((rng.uniform(0.2, 3.0, size=shape),))


register(
    Operator(
        "log1p",
        infer=floating,
        partials=partials,
        ufunc=np.log1p,
        emit=lambda dtype, x: f"log1p{dtype.itemsize * 8}({x})",
        inplace=(0,),
        row=TestRow(samples),
        formula="ln(1 + x)",
    )
)
