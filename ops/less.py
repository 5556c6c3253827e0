"""less: whether x < y.

Maths: z = (x < y), false for NaN. Shapes: equal (the Builder broadcasts). The result is bool and
has no gradient.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_tx.graph.node import Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import comparison


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((), (3,), (2, 3), (0, 4)):
        yield Sample(
            (
                rng.integers(-2, 3, size=shape).astype(np.float64),
                rng.integers(-2, 3, size=shape).astype(np.float64),
            )
        )


register(
    Operator(
        "less",
        infer=comparison,
        ufunc=np.less,
        emit=lambda dtype, x, y: f"({x} < {y})",
        row=TestRow(samples),
        formula="x < y",
    )
)
