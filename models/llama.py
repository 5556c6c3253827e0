"""Llama: a decoder-only transformer with rotary positions, gated units and grouped heads.

Touvron et al. 2023, section 2.2; grouped heads: Ainslie et al. 2023.

    h0 = E[tokens]                                         (batch, time, width)
    a  = h + attention(rms(h));  h = a + down(silu(gate(x)) up(x)), x = rms(a)     layers times
    logits = rms(h) W                                      (batch, time, vocab), W = E^T where tied
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinygrad_tx.errors import ShapeError, explain
from tinygrad_tx.missing import knows_arguments
from tinygrad_tx.models.causal import CausalModel
from tinygrad_tx.models.published.llama import LLAMA
from tinygrad_tx.models.tokens import behind, check_config, check_sizes, checked
from tinygrad_tx.nn import (
    Cache,
    Embedding,
    FeedForward,
    Linear,
    Module,
    ModuleList,
    MultiHeadAttention,
    RMSNorm,
    Rotary,
)
from tinygrad_tx.nn.cache import Kept
from tinygrad_tx.nn.points import marked
from tinygrad_tx.tensor import Tensor
from tinygrad_tx.tensor.tensor import TensorLike

__all__ = ["Llama", "LlamaConfig"]


@knows_arguments
@dataclass(frozen=True)
class LlamaConfig:
    """Sizes of a Llama. Errors: ShapeError, ValueError."""

    vocab_size: int
    context: int = 256
    layers: int = 4
    heads: int = 4
    width: int = 128
    kv_heads: int | None = None
    """Heads of keys and values; as many as of queries if not given."""
    inner: int | None = None
    """Units of the feed-forward network; 8/3 width if not given, up to a multiple of 32."""
    head_width: int | None = None
    rope_base: float = 10_000.0
    epsilon: float = 1e-5
    tied: bool = False
    """Whether the output's weights are the embedding's."""
    dropout: float = 0.0
    """Probability, while training, of attention weights."""

    def __post_init__(self) -> None:
        check_sizes(self, "kv_heads", "inner", "head_width")
        if self.kv_heads is not None and self.heads % self.kv_heads:
            what = f"heads {self.heads} are not a multiple of kv_heads {self.kv_heads}"
            remedy = "each head of keys and values serves as many heads of queries"
            raise ShapeError(explain("LlamaConfig", what, remedy=remedy))

    @property
    def units(self) -> int:
        """Units of the feed-forward network."""
        return self.inner or -(-8 * self.width // 3 // 32) * 32


class Block(Module):
    """Attention, then a gated feed-forward network, each on the normalised residual stream."""

    def __init__(self, config: LlamaConfig, rotary: Rotary, rng: np.random.Generator) -> None:
        super().__init__()
        width = config.width
        deviation = 0.02 / (2 * config.layers) ** 0.5
        self.attention_norm = RMSNorm(width, config.epsilon)
        self.attention = MultiHeadAttention(
            width,
            config.heads,
            rng,
            causal=True,
            deviation=deviation,
            dropout=config.dropout,
            kv_heads=config.kv_heads,
            head_width=config.head_width,
            bias=False,
            position=rotary,
        )
        self.feed_forward_norm = RMSNorm(width, config.epsilon)
        self.feed_forward = FeedForward(
            width, config.units, rng, deviation, activation="silu", gated=True, bias=False
        )

    def forward(
        self,
        residual: Tensor,
        cache: Cache | None = None,
        block: int = 0,
        prefix: Kept | None = None,
    ) -> Tensor:
        residual = marked(residual, "residual_before")
        normed = self.attention_norm(residual)
        attended = self.attention(normed, cache=cache, block=block, prefix=prefix)
        residual = marked(residual + attended, "residual_after_attention")
        computed: Tensor = self.feed_forward(self.feed_forward_norm(residual))
        return marked(residual + computed, "residual_after_feed_forward")


@knows_arguments
class Llama(CausalModel):
    """`model(tokens)` gives logits (batch, time, vocab); `model.loss` the mean cross-entropy."""

    family, config_class = LLAMA, LlamaConfig

    def __init__(self, config: LlamaConfig, seed: int = 0) -> None:
        super().__init__()
        check_config("Llama", config, LlamaConfig)
        rng = np.random.default_rng(seed)
        self.config = config
        head_width = config.head_width or config.width // config.heads
        rotary = Rotary(head_width, config.context, config.rope_base)
        self.embedding = Embedding(config.vocab_size, config.width, rng)
        self.blocks = ModuleList([Block(config, rotary, rng) for _ in range(config.layers)])
        self.norm = RMSNorm(config.width, config.epsilon)
        self.output = None if config.tied else Linear(config.width, config.vocab_size, rng, False)

    def hidden(
        self,
        tokens: TensorLike,
        cache: Cache | None = None,
        prompt: Tensor | None = None,
        prefix: Sequence[Kept] | None = None,
    ) -> Tensor:
        before = 0 if prompt is None else prompt.shape[0]
        found = checked(tokens, "Llama", self.config.context - before)
        residual = marked(behind(prompt, self.embedding(found)), "token_embedding")
        for i, block in enumerate(self.blocks):
            residual = block(residual, cache, i, None if prefix is None else prefix[i])
        hidden: Tensor = residual
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        normed: Tensor = self.norm(hidden)
        output = self.output
        logits = normed @ self.embedding.weight.T if output is None else output(normed)
        return marked(logits, "logits")
