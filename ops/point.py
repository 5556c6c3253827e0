"""point: the same value under a name that someone may ask for, as `pattern`.

axes names the last axes, as ("heads", "queries", "keys"), so that a part of it can be asked for in
words. Errors: ShapeError.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_tx.errors import Rejected, ShapeError
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Aval, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.shapes import Shape


def infer(x: Aval, axes: tuple[str, ...] = ()) -> Aval:
    if len(axes) > len(x.shape):
        raise Rejected(ShapeError, f"{len(axes)} names of axes {axes} for shape {x.shape}")
    return x


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node]:
    del b, node
    return (cotangent,)


def view(node: Node, strides: Shape, index: int) -> tuple[int, Shape]:
    del node, index
    return 0, strides


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((), (2, 3), (0, 4)):
        yield Sample((rng.normal(size=shape),))
    yield Sample((rng.normal(size=(2, 3)),), {"axes": ("width",)})


register(
    Operator(
        "point",
        infer=infer,
        linear_in=(0,),
        gradient=gradient,
        reference=lambda x, axes=(): x,
        view=view,
        unview=lambda node, strides: strides,
        row=TestRow(samples),
        formula="x",
    )
)
