"""logical_and: x and y of truth values.

Maths: z = x and y. Shapes: equal (the Builder broadcasts). The result is bool and has no gradient.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_tx.graph.node import Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import logical


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((), (3,), (2, 3), (0, 4)):
        yield Sample(
            (
                rng.integers(0, 2, size=shape).astype(np.bool_),
                rng.integers(0, 2, size=shape).astype(np.bool_),
            )
        )


register(
    Operator(
        "logical_and",
        infer=logical,
        ufunc=np.logical_and,
        emit=lambda dtype, x, y: f"({x} & {y})",
        row=TestRow(samples),
        formula="x and y",
    )
)
