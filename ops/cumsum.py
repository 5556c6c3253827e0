"""cumsum: running sum along an axis.

Maths: z_i = x_0 + ... + x_i; dL/dx_i = the sum of dL/dz from i on. Cost: one pass.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import numeric


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node]:
    # The running sum from the other end.
    axis, shape = node.attrs["axis"], node.shape
    back = {
        "start": tuple(n - 1 if i == axis else 0 for i, n in enumerate(shape)),
        "stop": tuple(-1 if i == axis else n for i, n in enumerate(shape)),
        "step": tuple(-1 if i == axis else 1 for i in range(len(shape))),
    }
    return (b.slice(b.cumsum(b.slice(cotangent, **back), axis=axis), **back),)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, axis in (((3,), 0), ((2, 3), 1), ((2, 3), 0), ((0, 2), 1)):
        yield Sample((rng.normal(size=shape),), {"axis": axis})


register(
    Operator(
        "cumsum",
        infer=lambda x, axis: numeric(x),
        linear_in=(0,),
        gradient=gradient,
        reference=lambda x, axis: np.cumsum(x, axis=axis, dtype=x.dtype),
        row=TestRow(samples),
        formula="x₀ + ... + xᵢ",
    )
)
