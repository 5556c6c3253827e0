"""EncoderDecoder: one transformer reads, another writes while it attends to what was read.

Vaswani et al. 2017, figure 1 (`form="transformer"`), section 3; and T5, Raffel et al. 2020,
section 2.1 (`form="t5"`), whose blocks normalise first, know distances and not places, and have no
biases; `form="t5.1.1"` gates the feed-forward network and unties the output.

    memory = encoder(E[source] + P)                        (batch, source time, width)
    h = decoder(E[target] + P, memory)                     (batch, target time, width)
    logits = h E^T                                         (batch, target time, vocab)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import explain
from tinygrad_tx.missing import knows_arguments
from tinygrad_tx.models.conditioned import Conditioned
from tinygrad_tx.models.generation import stream, write_batch
from tinygrad_tx.models.published.folder import Pretrained
from tinygrad_tx.models.published.t5 import T5
from tinygrad_tx.models.tokens import check_config, check_sizes, checked
from tinygrad_tx.nn import (
    Cache,
    CrossAttention,
    Dropout,
    Embedding,
    FeedForward,
    LayerNorm,
    Linear,
    Module,
    ModuleList,
    MultiHeadAttention,
    RelativeBias,
    RMSNorm,
    Sinusoidal,
)
from tinygrad_tx.nn.points import marked
from tinygrad_tx.tensor import Tensor, cross_entropy
from tinygrad_tx.tensor.tensor import TensorLike, as_tensor

__all__ = ["EncoderDecoder", "EncoderDecoderConfig"]

Memory = Tensor | tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Form:
    """In what the published forms differ."""

    norms_first: bool
    relative: bool
    """Relative biases of T5 in place of sinusoidal positions."""
    bias: bool
    activation: str
    gated: bool = False
    tied: bool = True
    scaled: bool = True
    """Whether scores are divided by sqrt(head width)."""


FORMS: Mapping[str, Form] = {
    "transformer": Form(norms_first=False, relative=False, bias=True, activation="relu"),
    "t5": Form(norms_first=True, relative=True, bias=False, activation="relu", scaled=False),
    "t5.1.1": Form(True, True, False, "gelu_tanh", gated=True, tied=False, scaled=False),
}


@knows_arguments
@dataclass(frozen=True)
class EncoderDecoderConfig:
    """Sizes of an encoder-decoder. Errors: ShapeError, ValueError."""

    vocab_size: int
    context: int = 128
    """The longest source and target; relative positions know no bound of their own."""
    encoder_layers: int = 3
    decoder_layers: int = 3
    heads: int = 4
    width: int = 128
    inner: int | None = None
    """Units of the feed-forward network; 4 width if not given."""
    head_width: int | None = None
    form: str = "transformer"
    """"transformer", "t5" or "t5.1.1"."""
    buckets: int = 32
    farthest: int = 128
    """Buckets of relative positions, and the distance from which on all are in the last one."""
    dropout: float = 0.1
    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        check_sizes(self, "inner", "head_width")
        if self.form not in FORMS:
            what = f"form {self.form!r} is not one of {', '.join(FORMS)}"
            raise ValueError(explain("EncoderDecoderConfig", what))

    @property
    def style(self) -> Form:
        return FORMS[self.form]


class Block(Module):
    """What the blocks of both sides have in common: their residual stream."""

    def __init__(self, config: EncoderDecoderConfig, rng: np.random.Generator) -> None:
        super().__init__()
        style = config.style
        self.norms_first = style.norms_first
        self.dropout = Dropout(config.dropout)
        self.feed_forward_norm = norm_of(config)
        self.feed_forward = FeedForward(
            config.width,
            config.inner or 4 * config.width,
            rng,
            activation=style.activation,
            gated=style.gated,
            bias=style.bias,
            dropout=config.dropout,
        )

    def added(self, residual: Tensor, norm: Module, part: Module, *args: Any) -> Tensor:
        """norm(h + part(h)), section 3.1; or h + part(norm(h)) where norms come first."""
        if self.norms_first:
            computed: Tensor = self.dropout(part(norm(residual), *args))
            return residual + computed
        result: Tensor = norm(residual + self.dropout(part(residual, *args)))
        return result


class EncoderBlock(Block):
    """Self-attention in both directions, then a feed-forward network."""

    def __init__(self, config: EncoderDecoderConfig, rng: np.random.Generator) -> None:
        super().__init__(config, rng)
        self.attention_norm = norm_of(config)
        self.attention = MultiHeadAttention(config.width, config.heads, rng, **sizes_of(config))

    def forward(self, residual: Tensor, mask: Tensor | None, bias: Tensor | None) -> Tensor:
        residual = marked(residual, "residual_before")
        residual = self.added(residual, self.attention_norm, self.attention, mask, bias)
        residual = marked(residual, "residual_after_attention")
        residual = self.added(residual, self.feed_forward_norm, self.feed_forward)
        return marked(residual, "residual_after_feed_forward")


class DecoderBlock(Block):
    """Causal self-attention, attention to what was read, then a feed-forward network."""

    def __init__(self, config: EncoderDecoderConfig, rng: np.random.Generator) -> None:
        super().__init__(config, rng)
        width, heads, sizes = config.width, config.heads, sizes_of(config)
        self.attention_norm = norm_of(config)
        self.attention = MultiHeadAttention(width, heads, rng, causal=True, **sizes)
        self.cross_attention_norm = norm_of(config)
        self.cross_attention = CrossAttention(width, heads, rng, **sizes)

    def forward(
        self,
        residual: Tensor,
        memory: Memory,
        mask: Tensor | None,
        bias: Tensor | None,
        cache: Cache | None = None,
        block: int = 0,
    ) -> Tensor:
        residual = marked(residual, "residual_before")
        own = (self.attention_norm, self.attention)
        residual = self.added(residual, *own, None, bias, cache, block)
        residual = marked(residual, "residual_after_attention")
        cross = (self.cross_attention_norm, self.cross_attention)
        residual = self.added(residual, *cross, memory, mask)
        residual = marked(residual, "residual_after_cross_attention")
        residual = self.added(residual, self.feed_forward_norm, self.feed_forward)
        return marked(residual, "residual_after_feed_forward")


class Side(Module):
    """Encoder or decoder: embedded tokens through blocks, with a norm at the end in T5."""

    def __init__(
        self, config: EncoderDecoderConfig, rng: np.random.Generator, blocks: list[Module]
    ) -> None:
        super().__init__()
        self.config = config
        relative, both_ways = config.style.relative, isinstance(self, Encoder)
        self.position = (
            RelativeBias(config.heads, rng, both_ways, config.buckets, config.farthest)
            if relative
            else Sinusoidal(config.context, config.width)
        )
        self.blocks = ModuleList(blocks)
        self.norm = norm_of(config) if config.style.norms_first else None
        self.dropout = Dropout(config.dropout)

    def embedded(
        self, tokens: TensorLike, embedding: Embedding, cache: Cache | None = None
    ) -> Tensor:
        tokens = checked(tokens, "EncoderDecoder", self.config.context)
        embedded = marked(embedding(tokens), "token_embedding")
        if isinstance(self.position, Sinusoidal):
            start = 0 if cache is None else cache.start
            places = marked(self.position(tokens.shape[1], start), "position_embedding")
            # Section 3.4: embeddings are multiplied by sqrt(width).
            embedded = embedded * self.config.width**0.5 + places
        dropped: Tensor = self.dropout(embedded)
        return dropped

    def bias(self, time: int, cache: Cache | None = None) -> Tensor | None:
        """What relative positions add to the scores of all blocks.

        (heads, time, time), or (batch, heads, time, context) behind what is kept.
        """
        if isinstance(self.position, Sinusoidal):
            return None
        looks_back = cache is not None and cache.lengths is not None
        keys = cache.context if cache is not None and looks_back else time
        bias: Tensor = self.position(time, keys, 0 if cache is None else cache.start)
        return bias

    def ended(self, residual: Tensor) -> Tensor:
        return residual if self.norm is None else self.dropout(self.norm(residual))


class Encoder(Side):
    """Reads the source in both directions: (batch, time) -> (batch, time, width)."""

    def __init__(self, config: EncoderDecoderConfig, rng: np.random.Generator) -> None:
        blocks = [EncoderBlock(config, rng) for _ in range(config.encoder_layers)]
        super().__init__(config, rng, [*blocks])

    def forward(self, tokens: TensorLike, embedding: Embedding, mask: Tensor | None) -> Tensor:
        residual = self.embedded(tokens, embedding)
        bias = self.bias(residual.shape[1])
        for block in self.blocks:
            residual = block(residual, mask, bias)
        return self.ended(residual)


class Decoder(Side):
    """Sees the target causally and all of the memory: (batch, time) -> (batch, time, width)."""

    def __init__(self, config: EncoderDecoderConfig, rng: np.random.Generator) -> None:
        blocks = [DecoderBlock(config, rng) for _ in range(config.decoder_layers)]
        super().__init__(config, rng, [*blocks])

    def forward(
        self,
        tokens: TensorLike,
        embedding: Embedding,
        memory: Tensor | None,
        mask: Tensor | None,
        cache: Cache | None = None,
    ) -> Tensor:
        """cache: tokens are the next ones of the texts that it keeps; with them, the memory."""
        residual = self.embedded(tokens, embedding, cache)
        bias = self.bias(residual.shape[1], cache)
        for i, block in enumerate(self.blocks):
            kept = None if cache is None else cache.memory[i]
            read = memory if kept is None else (kept.keys, kept.values)
            residual = block(residual, read, mask, bias, cache, i)
        return self.ended(residual)

    def read(self, memory: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """For each block the keys and values of the memory."""
        return (block.cross_attention.read(memory) for block in self.blocks)


@knows_arguments
class EncoderDecoder(Pretrained):
    """`model(source, target)` gives logits (batch, target time, vocab) of the token after each.

    source_mask (batch, source time): true for real tokens. source and target share one embedding.
    """

    family, config_class = T5, EncoderDecoderConfig

    def __init__(self, config: EncoderDecoderConfig, seed: int = 0) -> None:
        super().__init__()
        check_config("EncoderDecoder", config, EncoderDecoderConfig)
        rng = np.random.default_rng(seed)
        self.config = config
        self.embedding = Embedding(config.vocab_size, config.width, rng)
        self.encoder = Encoder(config, rng)
        self.decoder = Decoder(config, rng)
        tied = config.style.tied
        self.output = None if tied else Linear(config.width, config.vocab_size, rng, False)

    def forward(
        self, source: TensorLike, target: TensorLike, source_mask: TensorLike = None
    ) -> Tensor:
        seen = self._seen(source_mask)
        return self.decode(target, self.encode(source, seen), seen)

    def encode(self, source: TensorLike, seen: Tensor | None = None) -> Tensor:
        """The memory (batch, source time, width). seen: (batch, 1, 1, source time)."""
        memory: Tensor = self.encoder(source, self.embedding, seen)
        return memory

    def decode(self, target: TensorLike, memory: Tensor, seen: Tensor | None = None) -> Tensor:
        """Logits (batch, target time, vocab)."""
        return self.logits(self.decoder(target, self.embedding, memory, seen))

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores of the token after each: (batch, target time, vocab)."""
        if self.output is not None:
            return marked(self.output(hidden), "logits")
        if self.config.style.relative:
            # T5 scales down before the tied product, where its embeddings were not scaled up.
            hidden = hidden * self.config.width**-0.5
        return marked(hidden @ self.embedding.weight.T, "logits")

    def loss(
        self,
        source: TensorLike,
        target: TensorLike,
        targets: TensorLike,
        source_mask: TensorLike = None,
    ) -> Tensor:
        """Mean cross-entropy in nats, under teacher forcing.

        target begins with the start token; targets are the tokens after each, -100 for padding.
        """
        return cross_entropy(self(source, target, source_mask), targets)

    def generate(
        self, source: Sequence[int], max_new_tokens: int, start: int = 0, **options: Any
    ) -> Iterator[int]:
        """What the decoder writes for `source`, one by one, after its token `start`.

        options: as in `models.generation.stream`.
        """
        conditioned = Conditioned(self, [source])
        return stream(conditioned, [start], max_new_tokens, **options)

    def generate_batch(
        self, sources: Sequence[Sequence[int]], max_new_tokens: int, start: int = 0, **options: Any
    ) -> list[list[int]]:
        """What the decoder writes for each source, in common steps; as `write_batch`."""
        conditioned = Conditioned(self, sources)
        return write_batch(conditioned, [[start]] * len(sources), max_new_tokens, **options)

    def example(self) -> tuple[np.ndarray[Any, Any], ...]:
        """Arguments of the right shapes, for a drawing."""
        tokens = np.zeros((1, self.config.context), np.int64)
        return tokens, tokens.copy()

    def _seen(self, mask: TensorLike) -> Tensor | None:
        return None if mask is None else as_tensor(mask).astype(bool)[:, None, None, :]


def norm_of(config: EncoderDecoderConfig) -> Module:
    """LayerNorm, or the RMSNorm of T5."""
    kind = RMSNorm if config.style.relative else LayerNorm
    return kind(config.width, config.epsilon)


def sizes_of(config: EncoderDecoderConfig) -> dict[str, Any]:
    """What all attention of a model has in common."""
    style = config.style
    return {
        "dropout": config.dropout,
        "head_width": config.head_width,
        "bias": style.bias,
        "scale": None if style.scaled else 1.0,
    }
