"""What attention keeps of the tokens before, so that a new token costs one step and not the text.

The memory is state of the captured step: its shape is that of the longest text, so that nothing is
recorded again as the text grows. Shazeer 2019, section 2.3.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from tinygrad_tx.tensor import Tensor, write_rows, zeros

__all__ = ["Cache", "Kept"]


@dataclass(frozen=True)
class Kept:
    """Keys and values of one attention: (batch, key heads, context, head width) each."""

    keys: Tensor
    values: Tensor


@dataclass(frozen=True)
class Cache:
    """All that a decoder keeps of a batch of texts; `cache.at(lengths)` says how long they are.

    blocks: for each block the keys and values of the text. lengths (batch,) int64: tokens of each
    text so far; None where texts begin, so that there is nothing to look back at. memory: for each
    block the keys and values of what an encoder read.
    """

    blocks: tuple[Kept, ...]
    lengths: Tensor | None = None
    memory: tuple[Kept, ...] = field(default=())

    @classmethod
    def of(cls, batch: int, context: int, blocks: int, kv_heads: int, head_width: int) -> Cache:
        """Memory for `batch` texts of up to `context` tokens."""
        shape = (batch, kv_heads, context, head_width)
        return cls(tuple(Kept(zeros(shape), zeros(shape)) for _ in range(blocks)))

    def at(self, lengths: Tensor) -> Cache:
        """The same memory, of which text b has lengths[b] tokens."""
        return replace(self, lengths=lengths)

    @property
    def context(self) -> int:
        """The longest text that it has room for."""
        return self.blocks[0].keys.shape[2]

    @property
    def start(self) -> Tensor | int:
        """The place of the first new token of each text: (batch,), or 0 for all."""
        return 0 if self.lengths is None else self.lengths

    def keep(self, block: int, k: Tensor, v: Tensor) -> None:
        """Writes the keys and values of new tokens behind those that are there."""
        kept, first = self.blocks[block], self.lengths
        if first is None:
            first = zeros((k.shape[0],), np.int64)
        kept.keys.assign_(write_rows(kept.keys, k, first))
        kept.values.assign_(write_rows(kept.values, v, first))

    def reorder(self, chosen: Tensor) -> None:
        """Text i becomes what text chosen[i] was. chosen: (batch,) int64."""
        for kept in (*self.blocks, *self.memory):
            kept.keys.assign_(kept.keys[chosen])
            kept.values.assign_(kept.values[chosen])
