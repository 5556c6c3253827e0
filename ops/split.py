"""split: pieces of given sizes along one axis; each is a view.

Errors: ShapeError when the sizes do not add up. Its gradient is concat.
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


def infer(x: Aval, sizes: tuple[int, ...], axis: int) -> tuple[Aval, ...]:
    if sum(sizes) != x.shape[axis]:
        raise Rejected(ShapeError, f"sizes {sizes} do not add up to {x.shape[axis]} (axis {axis})")
    pieces = ((*x.shape[:axis], n, *x.shape[axis + 1 :]) for n in sizes)
    return tuple(Aval(shape, x.dtype) for shape in pieces)


def gradient(b: Builder, node: Node, *cotangents: Node | None) -> tuple[Node]:
    pieces = (
        b.full(aval.shape, 0, aval.dtype) if c is None else c
        for c, aval in zip(cotangents, node.outputs, strict=True)
    )
    return (b.concat(*pieces, axis=node.attrs["axis"]),)


def reference(x: np.ndarray[Any, Any], sizes: tuple[int, ...], axis: int) -> tuple[Any, ...]:
    return tuple(np.split(x, np.cumsum(sizes)[:-1], axis))


def view(node: Node, strides: Shape, index: int) -> tuple[int, Shape]:
    axis = node.attrs["axis"]
    return sum(node.attrs["sizes"][:index]) * strides[axis], strides


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, sizes, axis in (((5,), (2, 3), 0), ((2, 6), (1, 2, 3), 1), ((3, 2), (0, 3), 0)):
        yield Sample((rng.normal(size=shape),), {"sizes": sizes, "axis": axis})


register(
    Operator(
        "split",
        infer=infer,
        linear_in=(0,),
        gradient=gradient,
        reference=reference,
        view=view,
        row=TestRow(samples),
        formula="x[:n], x[n:], ...",
    )
)
