"""What attention keeps of the tokens before, so that a new token costs one step and not the text.

The memory is state of the captured step: its shape is that of the longest text, so that nothing is
recorded again as the text grows. Shazeer 2019, section 2.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tinygrad_tx.tensor import Tensor, broadcast_to, write_rows, zeros

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
    block the keys and values of what an encoder read. before: rows at the beginning that are not of
    the texts but of what was trained to stand before them, a soft prompt or a prefix.
    """

    blocks: tuple[Kept, ...]
    lengths: Tensor | None = None
    memory: tuple[Kept, ...] = field(default=())
    before: int = 0

    @classmethod
    def of(
        cls, batch: int, context: int, blocks: int, kv_heads: int, head_width: int, before: int = 0
    ) -> Cache:
        """Memory for `batch` texts of up to `context` tokens, behind `before` rows."""
        shape = (batch, kv_heads, before + context, head_width)
        kept = tuple(Kept(zeros(shape), zeros(shape)) for _ in range(blocks))
        return cls(kept, before=before)

    def at(self, lengths: Tensor) -> Cache:
        """The same memory, of which text b has lengths[b] tokens."""
        return replace(self, lengths=lengths)

    @property
    def context(self) -> int:
        """The longest text that it has room for."""
        return self.blocks[0].keys.shape[2] - self.before

    @property
    def start(self) -> Tensor | int:
        """The place of the first new token of each text: (batch,), or 0 for all."""
        return 0 if self.lengths is None else self.lengths

    @property
    def rows(self) -> Tensor:
        """Rows of each text that are taken: (batch,) int64."""
        batch = self.blocks[0].keys.shape[0]
        lengths = zeros((batch,), np.int64) if self.lengths is None else self.lengths
        return lengths + self.before if self.before else lengths

    def begin(self, prefix: Sequence[Kept]) -> None:
        """Writes the keys and values of a prefix, `before` rows of each block, for all texts."""
        first = zeros((self.blocks[0].keys.shape[0],), np.int64)
        for kept, given in zip(self.blocks, prefix, strict=True):
            for old, new in ((kept.keys, given.keys), (kept.values, given.values)):
                rows = broadcast_to(new, (old.shape[0], *new.shape[1:]))
                old.assign_(write_rows(old, rows, first))

    def prefix(self, block: int) -> Kept | None:
        """What stands before the texts in a block: (batch, kv_heads, before, head width) each."""
        kept, first = self.blocks[block], slice(self.before)
        return Kept(kept.keys[:, :, first], kept.values[:, :, first]) if self.before else None

    def keep(self, block: int, k: Tensor, v: Tensor) -> None:
        """Writes the keys and values of new tokens behind those that are there."""
        kept, first = self.blocks[block], self.rows
        kept.keys.assign_(write_rows(kept.keys, k, first))
        kept.values.assign_(write_rows(kept.values, v, first))

    def reorder(self, chosen: Tensor) -> None:
        """Text i becomes what text chosen[i] was. chosen: (batch,) int64."""
        for kept in (*self.blocks, *self.memory):
            kept.keys.assign_(kept.keys[chosen])
            kept.values.assign_(kept.values[chosen])
