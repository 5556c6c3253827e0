"""all: whether all element is true.

Maths: z = and of x. `axes` are sorted and not negative; none of them leaves x as it is.
Cost: one pass over x. Errors: see the message of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_tx.graph.node import Aval, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import logical, reduced


def infer(x: Aval, axes: tuple[int, ...], keepdims: bool) -> Aval:
    return Aval(reduced(x, axes, keepdims), logical(x).dtype)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, axes in (
        ((3,), (0,)),
        ((2, 3), (1,)),
        ((2, 3, 4), (0, 2)),
        ((), ()),
        ((0, 4), (0,)),
    ):
        for keepdims in (False, True):
            yield Sample(
                (rng.integers(0, 2, size=shape).astype(np.bool_),),
                {"axes": axes, "keepdims": keepdims},
            )


def reference(x: np.ndarray[Any, Any], axes: tuple[int, ...], keepdims: bool) -> Any:
    return np.all(x, axis=axes, keepdims=keepdims)


register(
    Operator(
        "all",
        infer=infer,
        reference=reference,
        row=TestRow(samples),
        formula="∧ x",
    )
)
