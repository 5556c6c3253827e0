"""bitwise_invert: every bit turned around.

Maths: z = ~x = -x - 1, of integers; of truth values see logical_not. Shapes: any. The result has no
gradient. Errors: DTypeError for anything but integers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_tx.graph.node import Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import integers


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((), (3,), (2, 3), (0, 4)):
        yield Sample((rng.integers(-9, 9, size=shape),))


register(
    Operator(
        "bitwise_invert",
        infer=integers,
        ufunc=np.invert,
        emit=lambda dtype, x: f"(~{x})",
        inplace=(0,),
        row=TestRow(samples),
        formula="~x",
    )
)
