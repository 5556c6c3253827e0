"""broadcast_to: axes of size 1 (and new leading axes) repeated; a view with stride 0.

Errors: ShapeError where the shapes do not broadcast. Its gradient is a sum.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_tx.errors import Rejected, ShapeError
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Aval, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.shapes import Shape, broadcast_shapes


def infer(x: Aval, shape: Shape) -> Aval:
    if broadcast_shapes(x.shape, shape) != shape:
        raise Rejected(ShapeError, f"{x.shape} does not broadcast to {shape}")
    return Aval(shape, x.dtype)


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node]:
    source, shape = node.inputs[0].shape, node.shape
    new = len(shape) - len(source)
    repeated = tuple(i for i, n in enumerate(shape) if i < new or source[i - new] != n)
    total = b.sum(cotangent, axes=repeated, keepdims=False) if repeated else cotangent
    return (b.reshape(total, shape=source),)


def view(node: Node, strides: Shape, index: int) -> tuple[int, Shape]:
    del index
    source, shape = node.inputs[0].shape, node.shape
    new = len(shape) - len(source)
    kept = (0 if n == 1 else s for n, s in zip(source, strides, strict=True))
    return 0, (0,) * new + tuple(kept)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, target in (((3,), (2, 3)), ((2, 1), (2, 3)), ((), (2,)), ((1, 4), (0, 4))):
        yield Sample((rng.normal(size=shape),), {"shape": target})


register(
    Operator(
        "broadcast_to",
        infer=infer,
        linear_in=(0,),
        gradient=gradient,
        reference=lambda x, shape: np.broadcast_to(x, shape),
        view=view,
        row=TestRow(samples),
        formula="x repeated",
    )
)
