"""bitwise_right_shift: the bits of x moved down by y places, its sign kept.

Maths: z = x >> y, of integers; y from 0 to the number of bits - 1, as in C: another y gives any
number. Shapes: equal (the Builder broadcasts). The result has no gradient. Errors: ShapeError and
DTypeError where the operands differ or are no integers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_tx.graph.node import Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import integers


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((), (3,), (2, 3), (0, 4)):
        yield Sample((rng.integers(-9, 9, size=shape), rng.integers(0, 9, size=shape)))


register(
    Operator(
        "bitwise_right_shift",
        infer=integers,
        ufunc=np.right_shift,
        emit=lambda dtype, x, y: f"({x} >> {y})",
        inplace=(0, 1),
        row=TestRow(samples),
        formula="x >> y",
    )
)
