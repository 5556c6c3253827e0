"""Attention as a graph: what its operators expand into.

Their inputs end with `extras`: 1 a bias, 2 seed and counter of dropout, 3 all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinygrad_tx.dtypes import float32, int64
from tinygrad_tx.errors import DTypeError, Rejected, ShapeError
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Aval, Node

__all__ = [
    "HEADS",
    "SCORES",
    "check_extras",
    "dropped",
    "gathered",
    "masked",
    "opened",
    "pattern_of",
    "repeated",
    "scores_of",
    "turned",
]


SCORES = ("heads", "queries", "keys")
HEADS = ("heads", "time", "width")
"""The axes of the points inside, behind those of the batch."""


def check_extras(q: Aval, k: Aval, extras: Sequence[Aval], count: int) -> None:
    """Refuses a bias that is not of the scores' shape, and draws without their state."""
    rest = list(extras)
    if len(rest) != count:
        raise Rejected(ShapeError, f"{len(rest)} inputs behind v, not {count}")
    if count % 2:
        bias, wanted = rest.pop(0), (*q.shape[:-1], k.shape[-2])
        if bias.shape != wanted:
            raise Rejected(ShapeError, f"bias {bias.shape} is not {wanted}")
        if bias.dtype != q.dtype:
            raise Rejected(DTypeError, f"bias is {bias.dtype}, q {q.dtype}", "convert with astype")
    if any(state.shape or state.dtype != int64 for state in rest):
        raise Rejected(ShapeError, "seed and counter must be int64[]")


def turned(b: Builder, x: Node) -> Node:
    """The last two axes exchanged."""
    n = len(x.shape)
    result: Node = b.permute_dims(x, axes=(*range(n - 2), n - 1, n - 2))
    return result


def repeated(b: Builder, x: Node, heads: int) -> Node:
    """Each key head once for every query head that shares it."""
    *leading, own, time, width = x.shape
    if own == heads:
        return x
    one = b.reshape(x, shape=(*leading, own, 1, time, width))
    wide = b.broadcast_to(one, (*leading, own, heads // own, time, width))
    result: Node = b.reshape(wide, shape=(*leading, heads, time, width))
    return result


def gathered(b: Builder, x: Node, own: int) -> Node:
    """The transpose of `repeated`: the sum over the query heads of each key head."""
    *leading, heads, time, width = x.shape
    if own == heads:
        return x
    split = b.reshape(x, shape=(*leading, own, heads // own, time, width))
    result: Node = b.sum(split, axes=(len(leading) + 1,), keepdims=False)
    return result


def opened(b: Builder, node: Node) -> tuple[Node, Node, Node, Node]:
    """Context, log-sum-exp, scores and pattern of attention, from the operators inside."""
    heads = node.inputs[0].shape[-3]
    scores = b.point(scores_of(b, node), name="scores", axes=SCORES)
    pattern, lse = b.attention_pattern(scores)
    pattern = b.point(pattern, name="pattern", axes=SCORES)
    context = b.matmul(dropped(b, node, pattern), repeated(b, node.inputs[2], heads))
    return b.point(context, name="context", axes=HEADS), lse, scores, pattern


def scores_of(b: Builder, node: Node) -> Node:
    """q k^T scale + bias, minus infinity where the key comes later. (..., queries, keys)."""
    inputs, extras = [*node.inputs[:2]], node.attrs["extras"]
    if extras % 2:
        inputs.append(node.inputs[-extras])
    attrs = {name: node.attrs[name] for name in ("causal", "scale")}
    result: Node = b.attention_scores(*inputs, **attrs)
    return result


def masked(b: Builder, scores: Node, value: float = float("-inf")) -> Node:
    """`value` where the key comes later; the last query sees all keys."""
    shape, n = scores.shape, len(scores.shape)
    row = b.iota(shape=shape, axis=n - 2, dtype=np.dtype(np.int64))
    column = b.iota(shape=shape, axis=n - 1, dtype=np.dtype(np.int64))
    seen = b.less_equal(column, b.add(row, shape[-1] - shape[-2]))
    result: Node = b.where(seen, scores, b.full(shape, value, scores.dtype))
    return result


def pattern_of(b: Builder, node: Node) -> Node:
    """exp(scores - lse), where lse is input 4. (..., heads, queries, keys)."""
    lse = b.reshape(node.inputs[4], shape=(*node.inputs[0].shape[:-1], 1))
    result: Node = b.exp(b.subtract(scores_of(b, node), lse))
    return result


def dropped(b: Builder, node: Node, x: Node) -> Node:
    """`x`, of the scores' shape, with what dropout leaves of it."""
    p = node.attrs["dropout"]
    if p == 0:
        return x
    seed, counter = node.inputs[-2:]
    # Drawn in float32 whatever x is: the kernel must drop the same.
    attrs = {"shape": x.shape, "dtype": float32, "offset": node.attrs["offset"]}
    kept = b.greater_equal(b.random_uniform(seed, counter, **attrs), float(np.float32(p)))
    scaled = b.multiply(x, 1 / (1 - p))
    result: Node = b.where(kept, scaled, b.full(x.shape, 0.0, x.dtype))
    return result
