"""attention_seen: attention that also gives out its scores and its pattern, for who looks inside.

The kernel is that of attention, which leaves them behind while they are in the cache: context and
log-sum-exp have the same bits. Shapes and attributes: as attention, without dropout; with `scores`
and `pattern` the results of these names, (..., heads, queries, keys) each, in this order. The
compiler makes it out of attention that stands open (compiler/reunite.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.lowering import Lowering, Operand
from tinygrad_tx.graph.node import Aval, Cost, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import find, register
from tinygrad_tx.ops import attention
from tinygrad_tx.ops.attending import opened


def infer(*inputs: Aval, scores: bool, pattern: bool, **attrs: Any) -> tuple[Aval, ...]:
    out, lse = attention.infer(*inputs, **attrs)
    square = Aval((*lse.shape, inputs[1].shape[-2]), out.dtype)
    return (out, lse, *[square] * (scores + pattern))


def expand(b: Builder, node: Node) -> tuple[Node, ...]:
    context, lse, scores, pattern = opened(b, node)
    shown = [x for x, name in ((scores, "scores"), (pattern, "pattern")) if node.attrs[name]]
    return (context, lse, *shown)


def lower(lowering: Lowering, node: Node) -> None:
    shown = iter(lowering.writes[2:])
    places: list[Operand] = [next(shown) if node.attrs[n] else 0 for n in ("scores", "pattern")]
    attention.lower_shown(lowering, node, *places)


def cost(node: Node) -> Cost:
    plain = attention.cost(node)
    return Cost(plain.flops, plain.bytes + sum(o.nbytes for o in node.outputs[2:]))


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for i, sample in enumerate(attention.samples(rng)):
        # What is hidden is not finite in the scores: they are shown where nothing is.
        is_whole = not sample.attrs["causal"]
        shown = {"scores": is_whole, "pattern": not is_whole or i % 2 == 0}
        yield Sample(sample.inputs, {**sample.attrs, **shown}, sample.nan)


register(
    Operator(
        "attention_seen",
        infer=infer,
        expand=expand,
        lower=lower,
        fits=attention.fits,
        reads=find("attention").reads,
        cost=cost,
        row=TestRow(samples, tolerance=5e-6),
        formula="softmax(q kᵀ s + b) v",
    )
)
