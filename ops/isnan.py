"""isnan: whether x is not a number.

Maths: z = (x != x). Shapes: equal (the Builder broadcasts). The result is bool and has no gradient.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_tx.graph.node import Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import floating_test


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((), (3,), (2, 3), (0, 4)):
        yield Sample((rng.choice([np.nan, np.inf, -np.inf, 1.0], size=shape),))


register(
    Operator(
        "isnan",
        infer=floating_test,
        ufunc=np.isnan,
        emit=lambda dtype, x: f"({x} != {x})",
        row=TestRow(samples),
        formula="x is NaN",
    )
)
