"""unslice: zeros of a shape with x written at a slice; the transpose of slice.

`start`, `stop`, `step` as in slice. Cost: one pass over the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_tx.errors import Rejected, ShapeError
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.lowering import Lowering
from tinygrad_tx.graph.node import Aval, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.shapes import Shape


def infer(x: Aval, shape: Shape, start: Shape, stop: Shape, step: Shape) -> Aval:
    cut = tuple(len(range(*r)) for r in zip(start, stop, step, strict=True))
    if cut != x.shape:
        raise Rejected(ShapeError, f"{x.shape} does not fill a slice of shape {cut}")
    return Aval(shape, x.dtype)


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node]:
    cuts = {k: v for k, v in node.attrs.items() if k != "shape"}
    return (b.slice(cotangent, **cuts),)


def reference(x: np.ndarray[Any, Any], shape: Shape, **attrs: Shape) -> np.ndarray[Any, Any]:
    result = np.zeros(shape, x.dtype)
    ranges = [range(*r) for r in zip(*(attrs[f] for f in ("start", "stop", "step")), strict=True)]
    cuts = (
        slice(r.start, r.stop if r.stop >= 0 else None, r.step) if len(r) else slice(0, 0)
        for r in ranges
    )
    result[tuple(cuts)] = x
    return result


def lower(lowering: Lowering, node: Node) -> None:
    (source,), (target,) = lowering.reads, lowering.writes
    attrs = node.attrs
    offset = target.offset + sum(
        start * s for start, s in zip(attrs["start"], target.strides, strict=True)
    )
    strides = tuple(k * s for k, s in zip(attrs["step"], target.strides, strict=True))
    lowering.fill(target, 0.0)
    if source.size:
        lowering.copy(source, replace(target, offset=offset, shape=source.shape, strides=strides))


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, whole, cuts in (
        ((3,), (5,), ((1, 4, 1),)),
        ((3,), (5,), ((4, -1, -2),)),
        ((2, 3), (3, 4), ((0, 3, 2), (3, 0, -1))),
        ((0,), (3,), ((2, 2, 1),)),
    ):
        start, stop, step = zip(*cuts, strict=True)
        attrs = {"shape": whole, "start": start, "stop": stop, "step": step}
        yield Sample((rng.normal(size=shape),), attrs)


register(
    Operator(
        "unslice",
        infer=infer,
        linear_in=(0,),
        gradient=gradient,
        reference=reference,
        lower=lower,
        reads="any",
        writes="any",
        row=TestRow(samples),
        formula="z[start:stop:step] = x, else 0",
    )
)
