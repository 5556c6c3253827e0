"""Batches out of token files larger than memory: exact epochs, shuffled in no memory, resumable."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_tx.data.permutation import Permutation
from tinygrad_tx.data.token_set import TokenSide
from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.untrusted import parse_json

__all__ = ["Mixture", "TokenWindows"]

Integers = np.ndarray[Any, np.dtype[np.int64]]
BLOCK = 1 << 12
"""Places that are looked up at once: one batch alone would mostly pay for calls of NumPy."""
Pair = tuple[Integers, Integers]


class TokenWindows:
    """Windows of `context` tokens with the tokens that follow them, each once in an epoch.

    An epoch is a permutation of the windows chosen by `seed` and its number; windows begin a little
    later in each, so that a border between two lies elsewhere. Row number r of the endless order is
    a function of (seed, r): a run resumes from one number.
    documents: no window crosses the border of a document; this takes 40 bytes of memory for each
    document that is long enough, and nothing of shorter ones is seen. Else only shards are borders.
    Errors: DataError where there is not one window.
    """

    def __init__(
        self, side: TokenSide, batch: int, context: int, seed: int = 0, documents: bool = False
    ) -> None:
        if batch < 1 or context < 1:
            what = f"batch {batch} and context {context} must be at least 1"
            raise DataError(explain("TokenWindows", what))
        self.side, self.batch, self.context, self.seed = side, batch, context, seed
        self.documents = documents
        self._drawn = 0  # rows
        spans = _spans(side, context, documents)
        self._shards, self._starts, self._lengths = spans
        self._counts = _windows_in(self._lengths, context)
        self._before = np.concatenate([[0], np.cumsum(self._counts)])
        self._order: tuple[tuple[int, int], Integers] | None = None

    def __len__(self) -> int:
        """Windows in an epoch."""
        return int(self._before[-1])

    @property
    def epoch(self) -> int:
        """Whole passes over the windows so far."""
        return self._drawn // len(self)

    def draw(self) -> Pair:
        """The next batch; tokens and targets, each int64 (batch, context)."""
        rows = np.arange(self._drawn, self._drawn + self.batch)
        self._drawn += self.batch
        return _pair(self.rows(rows))

    def rows(self, numbers: Integers) -> Integers:
        """(rows, context + 1): rows of the endless order by their numbers."""
        found = np.empty((len(numbers), self.context + 1), np.int64)
        epochs = numbers // len(self)
        for epoch in np.unique(epochs).tolist():
            chosen = epochs == epoch
            places = numbers[chosen] % len(self)
            found[chosen] = self._at(self._ordered(epoch, places), epoch)
        return found

    def in_order(self, most: int | None = None) -> Iterator[Pair]:
        """Full batches spread evenly over the windows as they lie in the first epoch.

        Fewer windows than one batch start over.
        """
        whole = max(1, len(self) // self.batch)
        count = whole if most is None else min(most, whole)
        for i in range(count):
            yield _pair(
                self.spread(np.arange(i * self.batch, (i + 1) * self.batch), count * self.batch)
            )

    def spread(self, numbers: Integers, total: int) -> Integers:
        """(rows, context + 1): of `total` windows spread evenly, those of `numbers`."""
        # In Python's integers: the product leaves int64 for a large file and a large total.
        return self._at(np.array([n * len(self) // total for n in numbers.tolist()], np.int64), 0)

    def state(self) -> str:
        """How many rows were drawn, and of what, as JSON."""
        return json.dumps({"rows": self._drawn, **self._identity()})

    def restore(self, state: str) -> None:
        """Draws on from `state`. Errors: ValueError for one of other windows."""
        found = parse_json(state)
        rows = found.pop("rows", None) if isinstance(found, dict) else None
        if found != self._identity() or type(rows) is not int or rows < 0:
            raise ValueError(f"it is of other windows: {found}, not {self._identity()}")
        self._drawn = rows

    def _identity(self) -> dict[str, Any]:
        found = {"windows": len(self), "context": self.context, "seed": self.seed}
        return {**found, "documents": self.documents}

    def _ordered(self, epoch: int, places: Integers) -> Integers:
        """The windows at `places` of an epoch."""
        found = np.empty_like(places)
        blocks = places // BLOCK
        for block in np.unique(blocks).tolist():
            if self._order is None or self._order[0] != (epoch, block):
                some = np.arange(block * BLOCK, min(block * BLOCK + BLOCK, len(self)))
                order = Permutation(len(self), self.seed, epoch)(some)
                self._order = ((epoch, block), order)
            chosen = blocks == block
            found[chosen] = self._order[1][places[chosen] - block * BLOCK]
        return found

    def _at(self, windows: Integers, epoch: int) -> Integers:
        spans = np.searchsorted(self._before, windows, side="right") - 1
        slack = self._lengths[spans] - 1 - self._counts[spans] * self.context
        # One random number of an epoch, scaled to what each span has to spare.
        turn = 0.0 if epoch == 0 else np.random.default_rng((1, self.seed, epoch)).random()
        shift = (turn * (slack + 1)).astype(np.int64)
        starts = self._starts[spans] + shift
        starts += (windows - self._before[spans]) * self.context
        return self.side.rows(self._shards[spans], starts, self.context + 1)


class Mixture:
    """Rows of several windows by weight: after any number of rows no part is a whole row ahead of
    its share of them. The largest debt is paid first; no chance is in it.

    weights: any positive numbers, their ratios count. Each part goes through its own epochs.
    """

    def __init__(self, parts: Sequence[TokenWindows], weights: Sequence[float]) -> None:
        if len(parts) != len(weights) or not parts:
            what = f"{len(parts)} parts and {len(weights)} weights"
            raise DataError(explain("Mixture", what))
        if not all(np.isfinite(w) and w > 0 for w in weights):
            what = f"weights {list(weights)} are not all positive numbers"
            raise DataError(explain("Mixture", what))
        if len({(p.batch, p.context) for p in parts}) != 1:
            raise DataError(explain("Mixture", "parts differ in batch or context"))
        self.parts = tuple(parts)
        self.batch, self.context = parts[0].batch, parts[0].context
        self.shares = np.array(weights, np.float64) / sum(weights)
        self._drawn = np.zeros(len(parts), np.int64)

    def draw(self) -> Pair:
        """The next batch; tokens and targets, each int64 (batch, context)."""
        chosen, numbers, self._drawn = self._next(self._drawn, self.batch)
        rows = np.empty((self.batch, self.context + 1), np.int64)
        for i, part in enumerate(self.parts):
            rows[chosen == i] = part.rows(numbers[chosen == i])
        return _pair(rows)

    def in_order(self, most: int | None = None) -> Iterator[Pair]:
        """Full batches with the same shares, of windows spread evenly over each part.

        Without `most` as many as the part that is used up first has enough for.
        """
        enough = min(len(p) / s for p, s in zip(self.parts, self.shares, strict=True))
        whole = max(1, int(enough) // self.batch)
        count = whole if most is None else min(most, whole)
        totals = np.ceil(self.shares * count * self.batch).astype(int) + 1
        drawn = np.zeros(len(self.parts), np.int64)
        for _ in range(count):
            chosen, numbers, drawn = self._next(drawn, self.batch)
            rows = np.empty((self.batch, self.context + 1), np.int64)
            for i, part in enumerate(self.parts):
                rows[chosen == i] = part.spread(numbers[chosen == i] % totals[i], int(totals[i]))
            yield _pair(rows)

    def state(self) -> str:
        """How many rows of each part were drawn, as JSON."""
        return json.dumps({"rows": self._drawn.tolist(), **self._identity()})

    def restore(self, state: str) -> None:
        """Draws on from `state`. Errors: ValueError for one of another mixture."""
        found = parse_json(state)
        rows = found.pop("rows", None) if isinstance(found, dict) else None
        counts = rows if isinstance(rows, list) else []
        are_counts = all(type(n) is int and 0 <= n < 1 << 62 for n in counts)
        if found != self._identity() or not are_counts or len(counts) != len(self.parts):
            raise ValueError(f"it is of another mixture: {found}, not {self._identity()}")
        self._drawn = np.array(counts, np.int64)

    def _identity(self) -> dict[str, Any]:
        return {"parts": [p._identity() for p in self.parts], "shares": self.shares.tolist()}

    def _next(self, drawn: Integers, count: int) -> tuple[Integers, Integers, Integers]:
        """For each of the next rows: its part, and its number there; then how many were drawn."""
        drawn, chosen, numbers = drawn.copy(), [], []
        for _ in range(count):
            part = int(np.argmax(self.shares * (drawn.sum() + 1) - drawn))
            chosen.append(part)
            numbers.append(int(drawn[part]))
            drawn[part] += 1
        return np.array(chosen), np.array(numbers), drawn


def _pair(rows: Integers) -> Pair:
    return rows[:, :-1].copy(), rows[:, 1:].copy()


def _spans(side: TokenSide, context: int, documents: bool) -> tuple[Integers, Integers, Integers]:
    """(shard, first token in it, tokens) of each run of tokens that holds a window."""
    found: list[tuple[Integers, Integers]] = []
    for number, shard in enumerate(side.shards):
        ends = side.borders(number) if documents else np.array([shard.tokens])
        begins = np.concatenate([[0], ends[:-1]])
        is_long = ends - begins > context
        found.append((begins[is_long], (ends - begins)[is_long]))
    if not sum(len(begins) for begins, _ in found):
        longest = "document" if documents else "shard"
        what = f"no {longest} in {side.folder} has {context + 1} tokens, one window and its target"
        raise DataError(explain("TokenWindows", what, remedy="use more text or a smaller context"))
    shards = np.repeat(np.arange(len(found)), [len(begins) for begins, _ in found])
    starts, lengths = (np.concatenate(parts).astype(np.int64) for parts in zip(*found, strict=True))
    return shards, starts, lengths


def _windows_in(lengths: Integers, context: int) -> Integers:
    """Windows in spans of so many tokens. One less than fits, where there are many: then there is
    room for any shift below `context`, for a hundredth of the tokens at most."""
    fits = (lengths - 1) // context
    return np.where(fits > 100, (lengths - context) // context, fits)
