"""slice: every step-th element from start to stop along each axis; always a view.

`start`, `stop`, `step` are per axis, as `slice.indices` gives them (stop -1 with a negative step
means before the first). Its gradient writes the cotangent into zeros.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_tx.errors import Rejected, ShapeError
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Aval, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.shapes import Shape


def _ranges(node_attrs: Any) -> list[range]:
    fields = ("start", "stop", "step")
    return [range(*r) for r in zip(*(node_attrs[f] for f in fields), strict=True)]


def infer(x: Aval, start: Shape, stop: Shape, step: Shape) -> Aval:
    if not len(start) == len(stop) == len(step) == len(x.shape):
        raise Rejected(ShapeError, f"needs a range for each of the {len(x.shape)} axes")
    ranges = _ranges({"start": start, "stop": stop, "step": step})
    for size, r in zip(x.shape, ranges, strict=True):
        if len(r) and not (0 <= r[0] < size and 0 <= r[-1] < size):
            raise Rejected(ShapeError, f"{r} leaves an axis of size {size}")
    return Aval(tuple(map(len, ranges)), x.dtype)


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node]:
    return (b.unslice(cotangent, shape=node.inputs[0].shape, **node.attrs),)


def reference(x: np.ndarray[Any, Any], **attrs: Shape) -> np.ndarray[Any, Any]:
    cuts = (
        slice(r.start, r.stop if r.stop >= 0 else None, r.step) if len(r) else slice(0, 0)
        for r in _ranges(attrs)
    )
    return x[tuple(cuts)]


def view(node: Node, strides: Shape, index: int) -> tuple[int, Shape]:
    del index
    ranges = _ranges(node.attrs)
    offset = sum(r.start * s for r, s in zip(ranges, strides, strict=True) if len(r))
    return offset, tuple(r.step * s for r, s in zip(ranges, strides, strict=True))


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, cuts in (
        ((5,), ((1, 4, 1),)),
        ((5,), ((4, -1, -2),)),
        ((3, 4), ((0, 3, 2), (3, 0, -1))),
        ((3,), ((2, 2, 1),)),
        ((), ()),
    ):
        start, stop, step = zip(*cuts, strict=True) if cuts else ((), (), ())
        yield Sample((rng.normal(size=shape),), {"start": start, "stop": stop, "step": step})


register(
    Operator(
        "slice",
        infer=infer,
        linear_in=(0,),
        gradient=gradient,
        reference=reference,
        view=view,
        row=TestRow(samples),
        formula="x[start:stop:step]",
    )
)
