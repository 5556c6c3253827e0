"""sum: the sum over axes.

Maths: z = sum x; dz/dx = 1. `axes` are sorted and not negative; none of them leaves x as it is.
Cost: one pass over x. Errors: see the message of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import int64, is_float
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Aval, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import keep, reduced

def infer(x: Aval, axes: tuple[int, ...], keepdims: bool) -> Aval:
    return Aval(reduced(x, axes, keepdims), x.dtype if is_float(x.dtype) else int64)


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node]:
    x = node.inputs[0]
    shaped = b.reshape(cotangent, shape=keep(x.aval, node.attrs["axes"]))
    return (b.broadcast_to(shaped, x.shape),)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, axes in (((3,), (0,)), ((2, 3), (1,)), ((2, 3, 4), (0, 2)), ((), ()), ((0, 4), (0,))):
        for keepdims in (False, True):
            yield Sample((rng.normal(size=shape),), {"axes": axes, "keepdims": keepdims})


def reference(x: np.ndarray[Any, Any], axes: tuple[int, ...], keepdims: bool) -> Any:
    return np.sum(x, axis=axes, keepdims=keepdims, dtype=None if x.dtype.kind == "f" else np.int64)


register(
    Operator(
        "sum",
        infer=infer,
        linear_in=(0,),
        gradient=gradient,
        reference=reference,
        reduce="sum",
        row=TestRow(samples),
        formula="Σ x",
    )
)
