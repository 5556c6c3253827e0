"""reshape: the same elements, in C order, under another shape.

Shapes: any of equal size. A view where strides allow. Errors: ShapeError when the sizes differ.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_tx.errors import Rejected, ShapeError
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Aval, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.shapes import Shape, reshape_strides, size_of


def infer(x: Aval, shape: Shape) -> Aval:
    if size_of(shape) != x.size:
        what = f"{x.shape} has {x.size} elements, {shape} has {size_of(shape)}"
        raise Rejected(ShapeError, what, "write -1 for the size that follows from the others")
    return Aval(shape, x.dtype)


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node]:
    return (b.reshape(cotangent, shape=node.inputs[0].shape),)


def view(node: Node, strides: Shape, index: int) -> tuple[int, Shape] | None:
    del index
    found = reshape_strides(node.inputs[0].shape, strides, node.shape)
    return None if found is None else (0, found)


def unview(node: Node, strides: Shape) -> Shape | None:
    return reshape_strides(node.shape, strides, node.inputs[0].shape)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, target in (((2, 3), (3, 2)), ((6,), (1, 6)), ((), (1, 1)), ((0, 4), (2, 0))):
        yield Sample((rng.normal(size=shape),), {"shape": target})


register(
    Operator(
        "reshape",
        infer=infer,
        linear_in=(0,),
        gradient=gradient,
        reference=lambda x, shape: x.reshape(shape),
        view=view,
        unview=unview,
        row=TestRow(samples),
        formula="x as shape",
    )
)
