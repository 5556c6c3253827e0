"""Conditioned: an encoder-decoder that has read its sources, as a causal model on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.nn import Cache
from tinygrad_tx.nn.cache import Kept
from tinygrad_tx.tensor import Tensor, no_grad, tensor
from tinygrad_tx.tensor.tensor import TensorLike

if TYPE_CHECKING:
    from tinygrad_tx.models.encoder_decoder import EncoderDecoder

__all__ = ["Conditioned"]


class Conditioned:
    """A `Causal` model: the decoder, which sees what the encoder made of the sources.

    Errors: DataError for a source that is empty or longer than the context.
    """

    def __init__(self, model: EncoderDecoder, sources: Sequence[Sequence[int]]) -> None:
        self.model, self.config = model, model.config
        longest = max((len(s) for s in sources), default=0)
        if not sources or not all(len(s) for s in sources):
            raise DataError(explain("generate", "a source is empty", remedy="give its tokens"))
        if longest > self.config.context:
            what = f"a source of {longest} tokens, more than the context, {self.config.context}"
            raise DataError(explain("generate", what))
        # Few sizes, so that few recordings serve all sources.
        size = min(self.config.context, 1 << (longest - 1).bit_length())
        self.tokens = np.zeros((len(sources), size), np.int64)
        self.seen = np.zeros((len(sources), 1, 1, size), bool)
        for i, source in enumerate(sources):
            self.tokens[i, : len(source)] = source
            self.seen[i, ..., : len(source)] = True
        self.mask = tensor(self.seen)

    def cache(self, batch: int, context: int | None = None) -> Cache:
        """Memory for `batch` texts: one for each source, or beams that share a single source."""
        config, count = self.config, len(self.tokens)
        if count == 1:
            self.mask = tensor(np.repeat(self.seen, batch, 0))
        with no_grad():
            memory = self.model.encode(self.tokens, tensor(self.seen))
            read = list(self.model.decoder.read(memory))
        head_width = config.head_width or config.width // config.heads
        longest = min(context or config.context, config.context)
        empty = Cache.of(batch, longest, config.decoder_layers, config.heads, head_width)
        kept = [
            Kept(*(tensor(np.repeat(x.numpy(), batch // count, 0)) for x in pair)) for pair in read
        ]
        return replace(empty, memory=tuple(kept))

    def hidden(self, tokens: TensorLike, cache: Cache | None = None) -> Tensor:
        """(batch, time, width) of the next tokens."""
        model = self.model
        hidden: Tensor = model.decoder(tokens, model.embedding, None, self.mask, cache)
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        return self.model.logits(hidden)
