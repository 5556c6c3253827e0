"""attention_bias_gradient: cotangent of the scores of attention, and so of its bias.

Maths: dS = P (dP - D), see attention_gradient. Shapes: inputs as there -> (..., heads, queries,
keys): as large as what attention avoids to store, so it is built only where somebody asks for it.
Source: Dao et al. 2022, appendix B.
"""

from __future__ import annotations

from typing import Any

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Aval, Node, Operator, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.attending import dropped, pattern_of, repeated, turned
from tinygrad_tx.ops.attention_gradient import samples


def infer(q: Aval, k: Aval, *_: Aval, **attrs: Any) -> Aval:
    del attrs
    return Aval((*q.shape[:-1], k.shape[-2]), q.dtype)


def expand(b: Builder, node: Node) -> Node:
    q, _, v, out, _, dout, dlse = node.inputs[:7]
    dpattern = b.matmul(dout, turned(b, repeated(b, v, q.shape[-3])))
    along = b.sum(b.multiply(dout, out), axes=(len(q.shape) - 1,), keepdims=True)
    along = b.subtract(along, b.reshape(dlse, shape=(*q.shape[:-1], 1)))
    change = b.subtract(dropped(b, node, dpattern), along)
    result: Node = b.multiply(pattern_of(b, node), change)
    return result


register(
    Operator(
        "attention_bias_gradient",
        infer=infer,
        expand=expand,
        row=TestRow(samples, tolerance=1e-5),
        formula="dS = P (dP - D)",
    )
)
