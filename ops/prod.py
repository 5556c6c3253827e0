"""prod: the product over axes.

Maths: z = prod x; dz/dx_i = the product of the others. `axes` are sorted and not negative; none of
them leaves x as it is.
Cost: one pass over x. Errors: see the message of each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.infer import keep, total
from tinygrad_tx.ops.samples import over_axes, uniform


def _others(b: Builder, node: Node) -> Node:
    """For each element the product of the others, right for zeros too.

    With k zeros in a group: k = 0 gives z/x, k = 1 gives the product of the rest at the zero, and
    k > 1 gives 0. The product with zeros replaced by 1 is itself differentiable at nonzero x.
    """
    x, axes = node.inputs[0], node.attrs["axes"]
    zero = b.equal(x, 0.0)
    count = b.sum(b.astype(zero, dtype=x.dtype), axes=axes, keepdims=True)
    safe = b.where(zero, b.full(x.shape, 1, x.dtype), x)
    rest = b.prod(safe, axes=axes, keepdims=True)
    without = b.multiply(b.divide(rest, safe), b.astype(b.equal(count, 0.0), dtype=x.dtype))
    alone = b.logical_and(zero, b.equal(count, 1.0))
    result: Node = b.where(alone, rest, without)
    return result


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node]:
    x = node.inputs[0]
    shaped = b.reshape(cotangent, shape=keep(x.aval, node.attrs["axes"]))
    return (b.multiply(_others(b, node), shaped),)


def tangent(b: Builder, node: Node, x: Node) -> Node:
    result: Node = b.sum(b.multiply(_others(b, node), x), **node.attrs)
    return result


def reference(x: np.ndarray[Any, Any], axes: tuple[int, ...], keepdims: bool) -> Any:
    return np.prod(x, axis=axes, keepdims=keepdims, dtype=None if x.dtype.kind == "f" else np.int64)


register(
    Operator(
        "prod",
        infer=total,
        gradient=gradient,
        tangent=tangent,
        reference=reference,
        row=TestRow(over_axes(uniform(0.5, 1.5))),
        formula="Π x",
    )
)
