"""concat: tensors one after another along an axis.

The compiler lets each input be made in its piece of the result, so that often nothing is copied.
Errors: ShapeError where the other axes differ, DTypeError where the dtypes do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate

import numpy as np

from tinygrad_tx.errors import DTypeError, Rejected, ShapeError
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.lowering import Lowering
from tinygrad_tx.graph.node import Aval, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register


def infer(*xs: Aval, axis: int) -> Aval:
    first = xs[0]
    for x in xs[1:]:
        if x.dtype != first.dtype:
            raise Rejected(DTypeError, f"dtypes differ: {first.dtype} and {x.dtype}")
        others = [(*v.shape[:axis], *v.shape[axis + 1 :]) for v in (first, x)]
        if others[0] != others[1] or len(x.shape) != len(first.shape):
            what = f"shapes {first.shape} and {x.shape} differ beside axis {axis}"
            raise Rejected(ShapeError, what)
    size = sum(x.shape[axis] for x in xs)
    return Aval((*first.shape[:axis], size, *first.shape[axis + 1 :]), first.dtype)


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node, ...]:
    axis = node.attrs["axis"]
    sizes = tuple(i.shape[axis] for i in node.inputs)
    if len(sizes) == 1:
        return (cotangent,)
    pieces: tuple[Node, ...] = b.split(cotangent, sizes=sizes, axis=axis)
    return pieces


def lower(lowering: Lowering, node: Node) -> None:
    axis, (target,) = node.attrs["axis"], lowering.writes
    starts = accumulate((s.shape[axis] for s in lowering.reads), initial=0)
    for source, start in zip(lowering.reads, starts, strict=False):
        offset = target.offset + start * target.strides[axis]
        lowering.copy(source, replace(target, offset=offset, shape=source.shape))


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shapes, axis in (
        (((2,), (3,)), 0),
        (((2, 1), (2, 3), (2, 2)), 1),
        (((2, 2), (2, 2)), 1),
        (((0, 2), (3, 2)), 0),
    ):
        yield Sample(tuple(rng.normal(size=s) for s in shapes), {"axis": axis})


register(
    Operator(
        "concat",
        infer=infer,
        linear_in=range(1 << 30),  # however many there are
        jointly_linear=True,
        gradient=gradient,
        reference=lambda *xs, axis: np.concatenate(xs, axis),
        lower=lower,
        reads="any",
        writes="any",
        row=TestRow(samples),
        formula="[x, y, ...]",
    )
)
