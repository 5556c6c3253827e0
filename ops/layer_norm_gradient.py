"""layer_norm_gradient: cotangents of x, weight and bias.

Maths: with h = (x - mean) r, r = 1/sqrt(var + epsilon), t = dy weight:
dx = r (t - mean(t) - h mean(t h)); dweight = sum over rows of dy h; dbias = sum over rows of dy.
Shapes: x, dy (..., width), weight (width,) -> (..., width), (width,), (width,). Source: derived.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Aval, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import float_rows, norm_weights

def infer(x: Aval, weight: Aval, cotangent: Aval, epsilon: float) -> tuple[Aval, Aval, Aval]:
    del epsilon
    norm_weights(float_rows(x, cotangent), weight)
    return x, weight, weight


def expand(b: Builder, node: Node) -> tuple[Node, Node, Node]:
    x, weight, cotangent = node.inputs
    last, width = len(x.shape) - 1, x.shape[-1]
    rows = tuple(range(last))

    def mean(v: Node) -> Node:
        result: Node = b.multiply(b.sum(v, axes=(last,), keepdims=True), 1 / width)
        return result

    centred = b.subtract(x, mean(x))
    scale = b.rsqrt(b.add(mean(b.square(centred)), node.attrs["epsilon"]))
    normal = b.multiply(centred, scale)
    t = b.multiply(cotangent, weight)
    inner = b.add(mean(t), b.multiply(normal, mean(b.multiply(t, normal))))
    dx = b.multiply(b.subtract(t, inner), scale)
    dweight = b.sum(b.multiply(cotangent, normal), axes=rows, keepdims=False)
    return dx, dweight, b.sum(cotangent, axes=rows, keepdims=False)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((3,), (2, 5), (2, 3, 4), (0, 4)):
        width = shape[-1]
        arrays = (rng.normal(size=shape), rng.normal(size=width), rng.normal(size=shape))
        yield Sample(arrays, {"epsilon": 1e-5})


register(
    Operator(
        "layer_norm_gradient",
        infer=infer,
        expand=expand,
        row=TestRow(samples, tolerance=1e-5),
        formula="r (t - mean(t) - h mean(t h))",
    )
)
