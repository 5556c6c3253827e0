"""pad: x with a value around it.

`widths`: (before, after) for each axis, not negative. Cost: one pass over the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from tinygrad_tx.errors import Rejected, ShapeError
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.lowering import Lowering
from tinygrad_tx.graph.node import Aval, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register

Widths = tuple[tuple[int, int], ...]


def infer(x: Aval, widths: Widths, value: float) -> Aval:
    del value
    if len(widths) != len(x.shape) or any(n < 0 for pair in widths for n in pair):
        raise Rejected(ShapeError, f"needs two widths >= 0 for each axis of {x.shape}: {widths}")
    return Aval(tuple(a + n + c for n, (a, c) in zip(x.shape, widths, strict=True)), x.dtype)


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node]:
    start = tuple(a for a, _ in node.attrs["widths"])
    sizes = node.inputs[0].shape
    stop = tuple(a + n for a, n in zip(start, sizes, strict=True))
    return (b.slice(cotangent, start=start, stop=stop, step=(1,) * len(start)),)


def tangent(b: Builder, node: Node, x: Node | None) -> Node | None:
    return None if x is None else b.pad(x, widths=node.attrs["widths"], value=0.0)


def lower(lowering: Lowering, node: Node) -> None:
    (source,), (target,) = lowering.reads, lowering.writes
    befores = (a for a, _ in node.attrs["widths"])
    offset = target.offset + sum(a * s for a, s in zip(befores, target.strides, strict=True))
    lowering.fill(target, node.attrs["value"])
    if source.size:
        lowering.copy(source, replace(target, offset=offset, shape=source.shape))


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, widths in (((3,), ((1, 2),)), ((2, 3), ((0, 1), (2, 0))), ((0,), ((1, 1),))):
        for value in (0.0, 1.5):
            yield Sample((rng.normal(size=shape),), {"widths": widths, "value": value})


register(
    Operator(
        "pad",
        infer=infer,
        gradient=gradient,
        tangent=tangent,
        reference=lambda x, widths, value: np.pad(x, widths, constant_values=value),
        lower=lower,
        reads="any",
        writes="any",
        row=TestRow(samples),
        formula="x with value around it",
    )
)
