"""attention_scores: q k^T scale + bias of each head, minus infinity where the key comes later.

Shapes: q (..., heads, queries, width), k (..., key heads, keys, width), bias like the result ->
(..., heads, queries, keys). What stands inside of attention before the softmax: it is there when
somebody looks into attention or changes it. Source: Vaswani et al. 2017, equation 1.
Maths: dq = s dS k, dk = s dS^T q, db = dS, where dS = 0 if the key comes later.
Errors: ShapeError, DTypeError.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_tx.errors import Rejected, ShapeError
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Aval, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.attending import check_extras, gathered, masked, repeated, turned


def infer(q: Aval, k: Aval, *bias: Aval, causal: bool, scale: float) -> Aval:
    del scale
    same = q.shape[:-3] == k.shape[:-3] and q.shape[-1:] == k.shape[-1:] and q.dtype == k.dtype
    if len(q.shape) < 3 or not same or q.shape[-3] % max(k.shape[-3], 1):
        raise Rejected(ShapeError, f"q {q.shape} and k {k.shape} do not belong together")
    if causal and q.shape[-2] > k.shape[-2]:
        what = f"causal with more queries ({q.shape[-2]}) than keys ({k.shape[-2]})"
        raise Rejected(ShapeError, what)
    check_extras(q, k, bias, len(bias))
    return Aval((*q.shape[:-1], k.shape[-2]), q.dtype)


def expand(b: Builder, node: Node) -> Node:
    q, k, *bias = node.inputs
    keys = repeated(b, k, q.shape[-3])
    scores: Node = b.multiply(b.matmul(q, turned(b, keys)), node.attrs["scale"])
    if bias:
        scores = b.add(scores, bias[0])
    return masked(b, scores) if node.attrs["causal"] else scores


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
    q, k, *bias = node.inputs
    if node.attrs["causal"]:
        cotangent = masked(b, cotangent, 0.0)
    change = b.multiply(cotangent, node.attrs["scale"])
    dq = b.matmul(change, repeated(b, k, q.shape[-3]))
    dk = gathered(b, b.matmul(turned(b, change), q), k.shape[-3])
    return (dq, dk, *[cotangent for _ in bias])


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for own, queries, keys, causal, has_bias in (
        (2, 1, 3, True, False),  # a query that sees all keys: what is hidden is not finite
        (1, 2, 5, False, True),
        (2, 3, 4, False, False),
    ):
        q, k = rng.normal(size=(2, 2, queries, 4)), rng.normal(size=(2, own, keys, 4))
        bias = [rng.normal(size=(2, 2, queries, keys))] if has_bias else []
        yield Sample((q, k, *bias), {"causal": causal, "scale": 0.5})


register(
    Operator(
        "attention_scores",
        infer=infer,
        gradient=gradient,
        expand=expand,
        row=TestRow(samples),
        formula="q kᵀ s + b",
    )
)
