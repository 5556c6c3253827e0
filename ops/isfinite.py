"""isfinite: whether x is neither NaN nor infinite.

Maths: z = (|x| < inf). Shapes: equal (the Builder broadcasts). The result is bool and has no
gradient.
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
        "isfinite",
        infer=floating_test,
        ufunc=np.isfinite,
        emit=lambda dtype, x: f"(abs({x}) < np.inf)",
        row=TestRow(samples),
        formula="x is finite",
    )
)
