"""matmul: matrix product of the last two axes.

Maths: z_ij = sum_k x_ik y_kj; dL/dx = dL/dz y^T, dL/dy = x^T dL/dz.
Shapes: (..., m, k) and (..., k, n) with equal leading axes -> (..., m, n). A transposed operand is a
view: the kernel packs from any strides. Cost: 2 m n k FLOPs a matrix. Errors: ShapeError, DTypeError.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_tx.errors import DTypeError, Rejected, ShapeError
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Aval, Cost, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register

def infer(x: Aval, y: Aval) -> Aval:
    if len(x.shape) < 2 or len(y.shape) < 2:
        raise Rejected(ShapeError, f"needs matrices: {x.shape} @ {y.shape}")
    if x.shape[-1] != y.shape[-2]:
        what = f"inner sizes differ: {x.shape} @ {y.shape}: {x.shape[-1]} != {y.shape[-2]}"
        raise Rejected(ShapeError, what, "transpose an operand or check the width")
    if x.shape[:-2] != y.shape[:-2]:
        raise Rejected(ShapeError, f"leading axes differ: {x.shape} @ {y.shape}")
    if x.dtype != y.dtype or x.dtype.kind == "b":
        raise Rejected(DTypeError, f"dtypes {x.dtype} and {y.dtype}", "convert with astype")
    return Aval((*x.shape[:-1], y.shape[-1]), x.dtype)


def _transposed(b: Builder, x: Node) -> Node:
    n = len(x.shape)
    result: Node = b.permute_dims(x, axes=(*range(n - 2), n - 1, n - 2))
    return result


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node, Node]:
    x, y = node.inputs
    return (
        b.matmul(cotangent, _transposed(b, y)),
        b.matmul(_transposed(b, x), cotangent),
    )


def cost(node: Node) -> Cost:
    x, y = node.inputs
    return Cost(2 * node.aval.size * x.shape[-1], x.aval.nbytes + y.aval.nbytes + node.aval.nbytes)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for x, y in (((2, 3), (3, 4)), ((2, 1, 3), (2, 3, 2)), ((1, 1), (1, 1)), ((2, 0), (0, 3))):
        yield Sample((rng.normal(size=x), rng.normal(size=y)))


register(
    Operator(
        "matmul",
        infer=infer,
        linear_in=(0, 1),
        gradient=gradient,
        reference=np.matmul,
        cost=cost,
        row=TestRow(samples),
        formula="Σₖ xᵢₖ yₖⱼ",
    )
)
