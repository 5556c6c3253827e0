"""permute_dims: the axes in another order; always a view.

Errors: ShapeError for axes that are no permutation.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_tx.errors import Rejected, ShapeError
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Aval, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.shapes import Shape


def infer(x: Aval, axes: tuple[int, ...]) -> Aval:
    if sorted(axes) != list(range(len(x.shape))):
        what = f"axes {axes} are no permutation of those of {x.shape}"
        raise Rejected(ShapeError, what, "name each axis once; swapaxes exchanges two")
    return Aval(tuple(x.shape[a] for a in axes), x.dtype)


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node]:
    return (b.permute_dims(cotangent, axes=_inverse(node.attrs["axes"])),)


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(axes.index(a) for a in range(len(axes)))


def view(node: Node, strides: Shape, index: int) -> tuple[int, Shape]:
    del index
    return 0, tuple(strides[a] for a in node.attrs["axes"])


def unview(node: Node, strides: Shape) -> Shape:
    return tuple(strides[a] for a in _inverse(node.attrs["axes"]))


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, axes in (((2, 3), (1, 0)), ((2, 3, 4), (2, 0, 1)), ((), ()), ((0, 4), (1, 0))):
        yield Sample((rng.normal(size=shape),), {"axes": axes})


register(
    Operator(
        "permute_dims",
        infer=infer,
        linear_in=(0,),
        gradient=gradient,
        reference=lambda x, axes: x.transpose(axes),
        view=view,
        unview=unview,
        row=TestRow(samples),
        formula="z[i, j] = x[j, i]",
    )
)
