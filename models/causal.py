"""What models that write from left to right have in common: loss, writing and its memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_tx.missing import knows_arguments
from tinygrad_tx.models.generation import stream
from tinygrad_tx.models.published.folder import Pretrained
from tinygrad_tx.nn import Cache
from tinygrad_tx.nn.cache import Kept
from tinygrad_tx.tensor import Tensor, cross_entropy
from tinygrad_tx.tensor.tensor import TensorLike

__all__ = ["CausalModel"]


class CausalModel(Pretrained):
    """`model(tokens)` gives logits (batch, time, vocab); `model.loss` the mean cross-entropy.

    A family defines `hidden` and `logits`.
    """

    def hidden(
        self,
        tokens: TensorLike,
        cache: Cache | None = None,
        prompt: Tensor | None = None,
        prefix: Sequence[Kept] | None = None,
    ) -> Tensor:
        """What the blocks make of the tokens: (batch, time, width).

        cache: tokens are the next ones of the texts whose keys and values it keeps. prompt: vectors
        (length, width) that stand before the embedded tokens; then (batch, length + time, width).
        prefix: for each block keys and values from outside, which every token sees.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no hidden")

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores of the token after each: (batch, time, vocab)."""
        raise NotImplementedError(f"{type(self).__name__} defines no logits")

    def forward(self, tokens: TensorLike) -> Tensor:
        return self.logits(self.hidden(tokens))

    @knows_arguments
    def loss(self, tokens: TensorLike, targets: TensorLike) -> Tensor:
        """Mean cross-entropy in nats of the next tokens."""
        return cross_entropy(self(tokens), targets)

    @knows_arguments
    def generate(self, tokens: Sequence[int], max_new_tokens: int, **options: Any) -> Iterator[int]:
        """New tokens after `tokens`, one by one; `options` as in `models.generation.stream`."""
        return stream(self, tokens, max_new_tokens, **options)

    def cache(self, batch: int, context: int | None = None, before: int = 0) -> Cache:
        """Memory for the keys and values of `batch` texts of up to `context` tokens.

        before: rows for what a soft prompt or a prefix puts before each text.
        """
        config = self.config
        heads = getattr(config, "kv_heads", None) or config.heads
        head_width = getattr(config, "head_width", None) or config.width // config.heads
        longest = min(context or config.context, config.context)
        return Cache.of(batch, longest, config.layers, heads, head_width, before)

    def example(self) -> tuple[np.ndarray[Any, Any], ...]:
        """Arguments of the right shapes, for a drawing."""
        return (np.zeros((1, self.config.context), np.int64),)
