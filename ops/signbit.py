"""signbit: whether the sign is set; also that of -0.0 and of a NaN.

Maths: z = (sign bit of x). Shapes: any. The result is bool and has no gradient.
Errors: DTypeError for anything but floating-point numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_tx.graph.node import Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import floating_test


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((), (3,), (2, 3), (0, 4)):
        yield Sample((rng.normal(size=shape),), nan=False)


register(
    Operator(
        "signbit",
        infer=floating_test,
        ufunc=np.signbit,
        emit=lambda dtype, x: f"np.signbit({x})",
        row=TestRow(samples),
        formula="sign bit of x",
    )
)
