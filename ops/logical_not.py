"""logical_not: the opposite truth value.

Maths: z = not x. Shapes: equal (the Builder broadcasts). The result is bool and has no gradient.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_tx.graph.node import Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import logical


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((), (3,), (2, 3), (0, 4)):
        yield Sample((rng.integers(0, 2, size=shape).astype(np.bool_),))


register(
    Operator(
        "logical_not",
        infer=logical,
        ufunc=np.logical_not,
        emit=lambda dtype, x: f"(not {x})",
        row=TestRow(samples),
        formula="not x",
    )
)
