"""BERT: an encoder that sees both directions, pretrained on masked words and next sentences.

Devlin et al. 2019; the block is that of Vaswani et al. 2017, post-normalised.

    h0 = norm(E[tokens] + P + S[segments])                 (batch, time, width), section 3, figure 2
    a  = norm(h + attention(h));  h = norm(a + feed_forward(a))      layers times
    masked words:   norm(gelu(h W + b)) E^T + c            (batch, time, vocab), task 1
    next sentence:  tanh(h[0] W + b) V + d                 (batch, 2), task 2: is next, is not
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.missing import knows_arguments
from tinygrad_tx.models.published import bert as published
from tinygrad_tx.models.published.folder import Pretrained
from tinygrad_tx.models.tokens import check_config, check_sizes, checked
from tinygrad_tx.nn import (
    Dropout,
    Embedding,
    FeedForward,
    LayerNorm,
    Linear,
    Module,
    ModuleList,
    MultiHeadAttention,
)
from tinygrad_tx.nn.parameters import filled
from tinygrad_tx.nn.points import marked
from tinygrad_tx.tensor import Tensor, cross_entropy, gelu, take, tanh, zeros_like
from tinygrad_tx.tensor.tensor import TensorLike, as_tensor

__all__ = ["BERT", "BERTClassifier", "BERTConfig", "BERTEncoder", "BERTReader", "BERTTagger"]


@knows_arguments
@dataclass(frozen=True)
class BERTConfig:
    """Sizes of a BERT. Errors: ShapeError, ValueError."""

    vocab_size: int
    context: int = 128
    layers: int = 4
    heads: int = 4
    width: int = 128
    inner: int | None = None
    """Units of the feed-forward network; 4 width if not given."""
    segments: int = 2
    dropout: float = 0.1
    """Probability, while training: of embeddings, attention weights and what blocks add."""
    epsilon: float = 1e-12

    def __post_init__(self) -> None:
        check_sizes(self, "inner")


class Block(Module):
    """Attention, then a feed-forward network, each added and then normalised."""

    def __init__(self, config: BERTConfig, rng: np.random.Generator) -> None:
        super().__init__()
        width = config.width
        self.attention = MultiHeadAttention(width, config.heads, rng, dropout=config.dropout)
        self.attention_norm = LayerNorm(width, config.epsilon)
        self.feed_forward = FeedForward(width, config.inner or 4 * width, rng)
        self.feed_forward_norm = LayerNorm(width, config.epsilon)
        self.dropout = Dropout(config.dropout)

    def forward(self, residual: Tensor, mask: Tensor | None) -> Tensor:
        residual = marked(residual, "residual_before")
        attended = self.dropout(self.attention(residual, mask))
        residual = self.attention_norm(residual + attended)
        residual = marked(residual, "residual_after_attention")
        computed = self.dropout(self.feed_forward(residual))
        residual = self.feed_forward_norm(residual + computed)
        return marked(residual, "residual_after_feed_forward")


class BERTEncoder(Module):
    """Embeddings and blocks. `encoder(tokens)` gives hidden states (batch, time, width)."""

    def __init__(self, config: BERTConfig, rng: np.random.Generator) -> None:
        super().__init__()
        self.config = config
        self.embedding = Embedding(config.vocab_size, config.width, rng)
        self.position = Embedding(config.context, config.width, rng)
        self.segment = Embedding(config.segments, config.width, rng)
        self.norm = LayerNorm(config.width, config.epsilon)
        self.dropout = Dropout(config.dropout)
        self.blocks = ModuleList([Block(config, rng) for _ in range(config.layers)])

    def forward(
        self, tokens: TensorLike, segments: TensorLike = None, mask: TensorLike = None
    ) -> Tensor:
        """segments and mask (true: a real token): (batch, time); if not given, one and all."""
        tokens = checked(tokens, "BERT", self.config.context)
        segments = zeros_like(tokens) if segments is None else segments
        embedded = marked(self.embedding(tokens), "token_embedding")
        position = marked(self.position(np.arange(tokens.shape[1])), "position_embedding")
        segment = marked(self.segment(segments), "segment_embedding")
        residual: Tensor = self.dropout(self.norm(embedded + position + segment))
        seen = None if mask is None else as_tensor(mask).astype(bool)[:, None, None, :]
        for block in self.blocks:
            residual = block(residual, seen)
        return residual


class Pooler(Module):
    """tanh of a linear map of the first token, [CLS]: (batch, time, width) -> (batch, width)."""

    def __init__(self, width: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.dense = Linear(width, width, rng)

    def forward(self, hidden: Tensor) -> Tensor:
        return marked(tanh(self.dense(hidden[:, 0])), "pooled")


class MaskedWordHead(Module):
    """Scores of all words at each place, on the embedding's own weights."""

    def __init__(self, config: BERTConfig, rng: np.random.Generator) -> None:
        super().__init__()
        self.dense = Linear(config.width, config.width, rng)
        self.norm = LayerNorm(config.width, config.epsilon)
        self.bias = filled((config.vocab_size,), 0.0)

    def forward(self, hidden: Tensor, embedding: Tensor) -> Tensor:
        transformed: Tensor = self.norm(gelu(self.dense(hidden)))
        return marked(transformed @ embedding.T + self.bias, "logits")


@knows_arguments
class BERT(Pretrained):
    """BERT with both heads of pretraining.

    `model(tokens, segments, mask)` gives the masked-word logits (batch, time, vocab);
    `model.both` the next-sentence logits (batch, 2) with them.
    """

    family, config_class = published.BERT, BERTConfig

    def __init__(self, config: BERTConfig, seed: int = 0) -> None:
        super().__init__()
        check_config("BERT", config, BERTConfig)
        rng = np.random.default_rng(seed)
        self.config = config
        self.encoder = BERTEncoder(config, rng)
        self.masked_words = MaskedWordHead(config, rng)
        self.pooler = Pooler(config.width, rng)
        self.next_sentence = Linear(config.width, 2, rng)

    def forward(
        self, tokens: TensorLike, segments: TensorLike = None, mask: TensorLike = None
    ) -> Tensor:
        return self.words_at(self.encoder(tokens, segments, mask))

    def both(
        self, tokens: TensorLike, segments: TensorLike = None, mask: TensorLike = None
    ) -> tuple[Tensor, Tensor]:
        """Logits of masked words (batch, time, vocab) and of the next sentence (batch, 2)."""
        hidden = self.encoder(tokens, segments, mask)
        return self.words_at(hidden), self.next_sentence(self.pooler(hidden))

    def loss(
        self,
        tokens: TensorLike,
        words: TensorLike,
        is_not_next: TensorLike = None,
        segments: TensorLike = None,
        mask: TensorLike = None,
        places: TensorLike = None,
    ) -> Tensor:
        """Mean cross-entropy in nats of masked words, and of the next sentence where it is given.

        words (batch, time): the token that was masked, and -100 elsewhere. is_not_next (batch,):
        0 where the second segment follows the first, else 1. With places (batch, masked) words
        are (batch, masked): only there scores are computed, as in the authors' code.
        """
        hidden = self.encoder(tokens, segments, mask)
        loss = cross_entropy(self.words_at(hidden, places), words)
        if is_not_next is None:
            return loss
        following = self.next_sentence(self.pooler(hidden))
        return loss + cross_entropy(following, is_not_next)

    def words_at(self, hidden: Tensor, places: TensorLike = None) -> Tensor:
        """Logits of all words: at all places, or (batch, masked, vocab) at those given."""
        if places is not None:
            batch, time, width = hidden.shape
            flat = as_tensor(places) + np.arange(batch)[:, None] * time
            hidden = take(hidden.reshape((batch * time, width)), flat, 0)
        logits: Tensor = self.masked_words(hidden, self.encoder.embedding.weight)
        return logits

    def example(self) -> tuple[np.ndarray[Any, Any], ...]:
        """Arguments of the right shapes, for a drawing."""
        return example_of(self.config)


class BERTTagger(Module):
    """A class for each token: logits (batch, time, classes)."""

    def __init__(self, config: BERTConfig, classes: int, seed: int = 0) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        self.config = config
        self.encoder = BERTEncoder(config, rng)
        self.dropout = Dropout(config.dropout)
        self.classifier = Linear(config.width, classes, rng)

    def features(self, hidden: Tensor) -> Tensor:
        """What is classified of the hidden states (batch, time, width): each of them."""
        return hidden

    def forward(
        self, tokens: TensorLike, segments: TensorLike = None, mask: TensorLike = None
    ) -> Tensor:
        features = self.features(self.encoder(tokens, segments, mask))
        return marked(self.classifier(self.dropout(features)), "logits")

    def loss(
        self,
        tokens: TensorLike,
        classes: TensorLike,
        segments: TensorLike = None,
        mask: TensorLike = None,
    ) -> Tensor:
        """Mean cross-entropy in nats. classes: like the logits but for their last axis; -100 where
        none is asked for."""
        return cross_entropy(self(tokens, segments, mask), classes)

    def example(self) -> tuple[np.ndarray[Any, Any], ...]:
        """Arguments of the right shapes, for a drawing."""
        return example_of(self.config)


class BERTClassifier(BERTTagger):
    """A class for each sequence, from the pooled first token: logits (batch, classes)."""

    def __init__(self, config: BERTConfig, classes: int, seed: int = 0) -> None:
        super().__init__(config, classes, seed)
        self.pooler = Pooler(config.width, np.random.default_rng((seed, 1)))

    def features(self, hidden: Tensor) -> Tensor:
        """The pooled first token: (batch, width)."""
        pooled: Tensor = self.pooler(hidden)
        return pooled


class BERTReader(BERTTagger):
    """Extractive question answering: where the answer starts and where it ends.

    Logits (batch, time, 2), as in section 4.2; `segments` tell question (0) from text (1).
    """

    def __init__(self, config: BERTConfig, seed: int = 0) -> None:
        super().__init__(config, 2, seed)

    def loss(
        self,
        tokens: TensorLike,
        classes: TensorLike,
        segments: TensorLike = None,
        mask: TensorLike = None,
    ) -> Tensor:
        """Mean of both cross-entropies in nats. classes (batch, 2): first and last token."""
        places = self(tokens, segments, mask).permute_dims((0, 2, 1))  # (batch, 2, time)
        return cross_entropy(places, classes)


def example_of(config: BERTConfig) -> tuple[np.ndarray[Any, Any], ...]:
    """Tokens, segments and mask of the right shapes."""
    shape = (1, config.context)
    return np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.ones(shape, bool)
