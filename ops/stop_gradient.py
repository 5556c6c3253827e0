"""stop_gradient: the same value, taken as a constant by differentiation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Aval, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.shapes import Shape


def infer(x: Aval) -> Aval:
    return x


def partials(b: Builder, node: Node) -> tuple[None]:
    del b, node
    return (None,)


def view(node: Node, strides: Shape, index: int) -> tuple[int, Shape]:
    del node, index
    return 0, strides


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((), (2, 3), (0, 4)):
        yield Sample((rng.normal(size=shape),))


register(
    Operator(
        "stop_gradient",
        infer=infer,
        partials=partials,
        reference=lambda x: x,
        view=view,
        unview=lambda node, strides: strides,
        row=TestRow(samples),
        formula="x",
    )
)
