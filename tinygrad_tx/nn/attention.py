"""Multi-head attention: of a sequence to itself, or of one to another."""

from __future__ import annotations

import numpy as np

from tinygrad_tx.errors import GraphError, ShapeError, explain
from tinygrad_tx.missing import knows_arguments
from tinygrad_tx.nn.cache import Cache, Kept
from tinygrad_tx.nn.layers import Linear
from tinygrad_tx.nn.module import Module
from tinygrad_tx.nn.points import marked
from tinygrad_tx.nn.positions import Position
from tinygrad_tx.tensor import (
    Tensor,
    attention,
    broadcast_to,
    cached_attention,
    concat,
    full,
)
from tinygrad_tx.tensor.tensor import TensorLike, as_tensor

__all__ = ["CrossAttention", "MultiHeadAttention"]


@knows_arguments
class MultiHeadAttention(Module):
    """Multi-head self-attention (Vaswani et al. 2017, section 3.2.2).

    Shapes: (batch, time, width) -> the same. Query, key and value projections stand side by side
    in one matrix, as wide as heads + 2 kv_heads heads: fewer heads of keys and values than of
    queries is grouped-query attention (Ainslie et al. 2023). position: rotary, ALiBi or relative.
    dropout: of the weights of the pattern, while training. scale: 1/sqrt(head_width) if not given.
    Errors: ShapeError for heads that do not divide.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        rng: np.random.Generator,
        causal: bool = False,
        deviation: float = 0.02,
        dropout: float = 0.0,
        *,
        kv_heads: int | None = None,
        head_width: int | None = None,
        bias: bool = True,
        position: Position | None = None,
        scale: float | None = None,
    ) -> None:
        super().__init__()
        self.heads, self.kv_heads = heads, kv_heads or heads
        self.head_width = _head_width(width, heads, self.kv_heads, head_width)
        self.causal, self.dropout, self.scale = causal, dropout, scale
        every = self.heads + 2 * self.kv_heads
        self.qkv = Linear(width, every * self.head_width, rng, bias)
        self.position = position or Position()
        self.projection = Linear(heads * self.head_width, width, rng, bias, deviation)

    def forward(
        self,
        x: Tensor,
        mask: TensorLike = None,
        bias: TensorLike = None,
        cache: Cache | None = None,
        block: int = 0,
        prefix: Kept | None = None,
    ) -> Tensor:
        """mask (true: may attend) and bias broadcast to (batch, heads, time, time).

        cache: x are new tokens, whose keys and values are kept as those of `block`; bias then goes
        by place, to (batch, heads, time, context). prefix: keys and values (1 or batch, kv_heads,
        length, head width) from outside, which every token sees; they stand at no place. With a
        cache the prefix is that of `cache.begin`. Errors: GraphError for one beside a cache.
        """
        batch, time, _ = x.shape
        start = 0 if cache is None else cache.start
        every = self.heads + 2 * self.kv_heads
        # (batch, time, every x head width) -> (batch, every, time, head width)
        qkv = self.qkv(x).reshape((batch, time, every, self.head_width)).permute_dims((0, 2, 1, 3))
        k_first, v_first = self.heads, self.heads + self.kv_heads
        q = marked(self.position.turned(qkv[:, :k_first], start), "query")
        k = marked(self.position.turned(qkv[:, k_first:v_first], start), "key")
        v = marked(qkv[:, v_first:], "value")
        if prefix is not None and cache is not None:
            what = "a prefix beside kept keys and values"
            remedy = "write it into the cache: Cache.of(..., before=length), then begin(prefix)"
            raise GraphError(explain("attention", what, remedy=remedy))
        if cache is None or cache.lengths is None:
            bias = _sum(bias, self.position.bias(q, time))
            prefix = prefix if cache is None else cache.prefix(block)
            keys, values = k, v
            if prefix is not None:
                length = prefix.keys.shape[2]
                keys, values = _behind(prefix.keys, k), _behind(prefix.values, v)
                mask, bias = _wider(mask, True, length, time), _wider(bias, 0.0, length, time)
            context = attention(
                q,
                keys,
                values,
                mask=mask,
                causal=self.causal,
                bias=bias,
                scale=self.scale,
                dropout=self.dropout if self.training else 0.0,
            )
        else:
            kept = cache.blocks[block]
            bias = _sum(bias, self.position.bias(q, cache.context, start))
            if cache.before:
                bias = _wider(bias, 0.0, cache.before, cache.context)
            before = (kept.keys, kept.values, cache.rows)
            context = cached_attention(q, k, v, *before, bias=bias, scale=self.scale)
        if cache is not None:
            cache.keep(block, k, v)
        return marked(self.projection(_joined(context)), "output")


class CrossAttention(Module):
    """Queries of one sequence, keys and values of another (Vaswani et al. 2017, section 3.2.3).

    Shapes: x (batch, time, width), memory (batch, keys, width) -> like x.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        rng: np.random.Generator,
        deviation: float = 0.02,
        dropout: float = 0.0,
        *,
        head_width: int | None = None,
        bias: bool = True,
        scale: float | None = None,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.head_width = _head_width(width, heads, heads, head_width)
        self.dropout, self.scale = dropout, scale
        inner = heads * self.head_width
        self.query = Linear(width, inner, rng, bias)
        self.key_value = Linear(width, 2 * inner, rng, bias)
        self.projection = Linear(inner, width, rng, bias, deviation)

    def read(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of the memory, (batch, heads, keys, head width) each."""
        shape = (*memory.shape[:2], 2, self.heads, self.head_width)
        kv = self.key_value(memory).reshape(shape).permute_dims((2, 0, 3, 1, 4))
        return marked(kv[0], "key"), marked(kv[1], "value")

    def forward(
        self,
        x: Tensor,
        memory: Tensor | tuple[Tensor, Tensor],
        mask: TensorLike = None,
    ) -> Tensor:
        """memory: the other sequence, or what `read` made of it.

        mask (true: may attend) broadcasts to (batch, heads, time, keys).
        """
        q = self.query(x).reshape((*x.shape[:2], self.heads, -1)).permute_dims((0, 2, 1, 3))
        context = attention(
            marked(q, "query"),
            *(memory if isinstance(memory, tuple) else self.read(memory)),
            mask=mask,
            scale=self.scale,
            dropout=self.dropout if self.training else 0.0,
        )
        return marked(self.projection(_joined(context)), "output")


def _joined(context: Tensor) -> Tensor:
    """(batch, heads, time, head width) -> (batch, time, heads x head width)."""
    batch, heads, time, width = context.shape
    return context.permute_dims((0, 2, 1, 3)).reshape((batch, time, heads * width))


def _behind(before: Tensor, x: Tensor) -> Tensor:
    """Keys or values x (batch, heads, time, width) behind those of a prefix."""
    return concat([broadcast_to(before, (x.shape[0], *before.shape[1:])), x], axis=2)


def _wider(given: TensorLike, value: float, length: int, time: int) -> TensorLike:
    """A mask or bias of (..., time) keys with `value` for the keys of a prefix before them."""
    if given is None:
        return None
    whole = as_tensor(given)
    whole = broadcast_to(whole, (*whole.shape[:-1], time))
    return concat([full((*whole.shape[:-1], length), value, whole.dtype), whole], axis=-1)


def _sum(a: TensorLike, b: Tensor | None) -> TensorLike:
    if a is None or b is None:
        return b if a is None else a
    return a + b


def _head_width(width: int, heads: int, kv_heads: int, given: int | None) -> int:
    if given is None and width % heads:
        what = f"width {width} is not a multiple of {heads} heads"
        raise ShapeError(explain("attention", what, remedy="change one, or give head_width"))
    if heads % kv_heads:
        what = f"{heads} heads of queries are not a multiple of {kv_heads} of keys and values"
        raise ShapeError(explain("attention", what))
    return given or width // heads
