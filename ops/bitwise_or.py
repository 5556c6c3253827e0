"""bitwise_or: the bits that one of both has.

Maths: z = x | y, of integers; of truth values see logical_or. Shapes: equal (the Builder
broadcasts). The result has no gradient. Errors: ShapeError and DTypeError where the operands differ
or are no integers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_tx.graph.node import Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import integers


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((), (3,), (2, 3), (0, 4)):
        yield Sample((rng.integers(-9, 9, size=shape), rng.integers(-9, 9, size=shape)))


register(
    Operator(
        "bitwise_or",
        infer=integers,
        ufunc=np.bitwise_or,
        emit=lambda dtype, x, y: f"({x} | {y})",
        inplace=(0, 1),
        row=TestRow(samples),
        formula="x | y",
    )
)
