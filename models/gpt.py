"""GPT: a decoder-only transformer that predicts the next token.

Radford et al. 2019 (GPT-2): pre-normalisation, learned positions, GELU, tied embeddings.

    h0 = E[tokens] + P                                     (batch, time, width)
    a  = h + attention(norm(h));  h = a + feed_forward(norm(a))      layers times
    logits = norm(h) E^T                                   (batch, time, vocab)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tinygrad_tx.missing import knows_arguments
from tinygrad_tx.models.causal import CausalModel
from tinygrad_tx.models.published.gpt2 import GPT2
from tinygrad_tx.models.tokens import behind, check_config, check_sizes, checked, places_of
from tinygrad_tx.nn import (
    Cache,
    Dropout,
    Embedding,
    FeedForward,
    LayerNorm,
    Module,
    ModuleList,
    MultiHeadAttention,
)
from tinygrad_tx.nn.cache import Kept
from tinygrad_tx.nn.points import marked
from tinygrad_tx.tensor import Tensor
from tinygrad_tx.tensor.tensor import TensorLike

__all__ = ["GPT", "GPTConfig"]


@knows_arguments
@dataclass(frozen=True)
class GPTConfig:
    """Sizes of a GPT. Errors: ShapeError, ValueError."""

    vocab_size: int
    context: int = 64
    layers: int = 4
    heads: int = 4
    width: int = 128
    dropout: float = 0.0
    """Probability, while training: of embeddings, attention weights and what blocks add."""
    activation: str = "gelu"
    """OpenAI's published weights want its approximation, gelu_tanh."""

    def __post_init__(self) -> None:
        check_sizes(self)


class BlockSizes(Protocol):
    """What a block needs to know of a model."""

    @property
    def layers(self) -> int: ...
    @property
    def heads(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def dropout(self) -> float: ...
    @property
    def activation(self) -> str: ...


class Block(Module):
    """Attention, then a feed-forward network, each on the normalised residual stream."""

    def __init__(self, config: BlockSizes, rng: np.random.Generator, causal: bool = True) -> None:
        super().__init__()
        width = config.width
        # GPT-2 scales what is added to the residual stream by 1/sqrt(number of additions).
        deviation = 0.02 / (2 * config.layers) ** 0.5
        self.attention_norm = LayerNorm(width)
        self.attention = MultiHeadAttention(
            width, config.heads, rng, causal, deviation, config.dropout
        )
        self.feed_forward_norm = LayerNorm(width)
        self.feed_forward = FeedForward(
            width, 4 * width, rng, deviation, activation=config.activation
        )
        self.dropout = Dropout(config.dropout)

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
        residual = marked(residual + self.dropout(attended), "residual_after_attention")
        computed: Tensor = self.dropout(self.feed_forward(self.feed_forward_norm(residual)))
        return marked(residual + computed, "residual_after_feed_forward")


@knows_arguments
class GPT(CausalModel):
    """`model(tokens)` gives logits (batch, time, vocab); `model.loss` the mean cross-entropy."""

    family, config_class = GPT2, GPTConfig

    def __init__(self, config: GPTConfig, seed: int = 0) -> None:
        super().__init__()
        check_config("GPT", config, GPTConfig)
        rng = np.random.default_rng(seed)
        self.config = config
        self.embedding = Embedding(config.vocab_size, config.width, rng)
        self.position = Embedding(config.context, config.width, rng)
        self.blocks = ModuleList([Block(config, rng) for _ in range(config.layers)])
        self.norm = LayerNorm(config.width)
        self.dropout = Dropout(config.dropout)

    def hidden(
        self,
        tokens: TensorLike,
        cache: Cache | None = None,
        prompt: Tensor | None = None,
        prefix: Sequence[Kept] | None = None,
    ) -> Tensor:
        before = 0 if prompt is None else prompt.shape[0]
        tokens = checked(tokens, "GPT", self.config.context - before)
        places = places_of(tokens, cache, before)
        embedded = marked(behind(prompt, self.embedding(tokens)), "token_embedding")
        position = marked(self.position(places), "position_embedding")
        residual: Tensor = self.dropout(embedded + position)
        for i, block in enumerate(self.blocks):
            residual = block(residual, cache, i, None if prefix is None else prefix[i])
        return residual

    def logits(self, hidden: Tensor) -> Tensor:
        normed: Tensor = self.norm(hidden)
        return marked(normed @ self.embedding.weight.T, "logits")
