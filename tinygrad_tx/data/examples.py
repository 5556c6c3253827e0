"""Examples in parallel arrays: a new seeded order each round, changed on the way if asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_tx.data.batches import Batch
from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.untrusted import parse_json

__all__ = ["Change", "Examples"]

Change = Callable[[Batch, np.random.Generator], Batch]
"""A batch made of another one and random numbers, as masking does."""

IN_ORDER = 1 << 62  # steps of the fixed order, so far from those of training that they never meet


class Examples:
    """Rows of arrays of one length, `batch` at a time.

    All is a function of the seed and of how many batches were drawn: a run resumes from a number.
    """

    def __init__(
        self,
        arrays: Sequence[np.ndarray[Any, Any]],
        batch: int,
        seed: int = 0,
        change: Change | None = None,
    ) -> None:
        self.arrays = tuple(arrays)
        self.batch, self.seed, self.change = batch, seed, change
        lengths = {len(a) for a in self.arrays}
        if len(lengths) != 1 or 0 in lengths or batch < 1:
            what = f"arrays of {sorted(lengths)} rows, {batch} a batch"
            remedy = "they need one length of at least 1, and a batch of at least 1"
            raise DataError(explain("Examples", what, remedy=remedy))
        self._drawn = 0
        self._order: tuple[int, np.ndarray[Any, Any]] = (-1, np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.arrays[0])

    def draw(self) -> Batch:
        """The next batch: every row once before any comes again."""
        places = np.arange(self._drawn * self.batch, (self._drawn + 1) * self.batch)
        rounds = places // len(self)
        rows = np.concatenate(
            [self._round(r)[places[rounds == r] % len(self)] for r in np.unique(rounds).tolist()]
        )
        self._drawn += 1
        return self._made(rows, self._drawn)

    def in_order(self, most: int | None = None) -> Iterator[Batch]:
        """Full batches of rows spread evenly; fewer rows than one batch start over."""
        count = max(1, len(self) // self.batch)
        chosen = range(count) if most is None or most >= count else range(most)
        rows = np.arange(len(chosen) * self.batch) * len(self) // (len(chosen) * self.batch)
        for i, some in enumerate(rows.reshape(-1, self.batch)):
            yield self._made(some, IN_ORDER + i)

    def state(self) -> str:
        """How many batches were drawn, as JSON."""
        return json.dumps({"drawn": self._drawn})

    def restore(self, state: str) -> None:
        """Draws on from `state`."""
        found = parse_json(state)
        if not isinstance(found, dict) or type(found["drawn"]) is not int or found["drawn"] < 0:
            raise ValueError(f"no number of batches: {found}")
        self._drawn = found["drawn"]

    def _round(self, number: int) -> np.ndarray[Any, Any]:
        if self._order[0] != number:
            rng = np.random.default_rng((self.seed, 0, number))
            self._order = (number, rng.permutation(len(self)))
        return self._order[1]

    def _made(self, rows: np.ndarray[Any, Any], step: int) -> Batch:
        batch = tuple(a[rows] for a in self.arrays)
        if self.change is None:
            return batch
        return self.change(batch, np.random.default_rng((self.seed, 1, step)))
