"""What training reads: batches of fixed shapes. Here those that are cut out of one long text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.untrusted import parse_json

__all__ = ["Batch", "Batches", "Windows", "split"]

Tokens = np.ndarray[Any, np.dtype[np.int64]]
Batch = tuple[np.ndarray[Any, Any], ...]
"""The arguments of a model's `loss`; the first has the tokens."""


class Batches(Protocol):
    """A source of batches. An array has one shape in all: a step is recorded once."""

    def draw(self) -> Batch:
        """The next batch of a seeded order without end."""
        ...

    def in_order(self, most: int | None = None) -> Iterator[Batch]:
        """The same batches at each call, for validation; with `most`, at most so many."""
        ...

    def state(self) -> str:
        """Where the order stands."""
        ...

    def restore(self, state: str) -> None:
        """Draws on from there. Errors: KeyError, ValueError for what `state` did not write."""
        ...


def split(tokens: Tokens, held_out: float = 0.1) -> tuple[Tokens, Tokens]:
    """The beginning for training, the last part for validation."""
    cut = len(tokens) - int(len(tokens) * held_out)
    return tokens[:cut], tokens[cut:]


class Windows:
    """Windows of `context` tokens with the tokens that follow them.

    Batches are pairs (tokens, targets), each (batch, context), targets one place later.
    """

    def __init__(self, tokens: Tokens, batch: int, context: int, seed: int = 0) -> None:
        if len(tokens) <= context:
            what = f"{len(tokens)} tokens are too few for one window of {context} and its target"
            remedy = "use a longer text or a smaller context"
            raise DataError(explain("Windows", what, remedy=remedy))
        self.tokens = tokens
        self.batch = batch
        self.context = context
        self._rng = np.random.Generator(np.random.Philox(seed))

    def draw(self) -> tuple[Tokens, Tokens]:
        """A batch at random starts."""
        starts = self._rng.integers(0, len(self.tokens) - self.context, self.batch)
        return self._at(starts)

    def in_order(self, most: int | None = None) -> Iterator[tuple[Tokens, Tokens]]:
        """Full batches that tile the tokens; with `most`, that many spread evenly.

        A text too short for one full batch gives one whose windows overlap.
        """
        count = (len(self.tokens) - 1) // self.context
        starts = np.arange(count) * self.context
        whole = count - count % self.batch
        if not whole:
            last = len(self.tokens) - 1 - self.context
            yield self._at(np.linspace(0, last, self.batch).astype(np.int64))
            return
        rows = starts[:whole].reshape(-1, self.batch)
        if most is not None and len(rows) > most:
            rows = rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
        for row in rows:
            yield self._at(row)

    def state(self) -> str:
        """The random state as JSON."""
        return json.dumps(self._rng.bit_generator.state, default=lambda v: v.tolist())

    def restore(self, state: str) -> None:
        """Draws on from `state`."""
        found = parse_json(state)
        try:
            found["state"] = {k: np.array(v, np.uint64) for k, v in found["state"].items()}
            found["buffer"] = np.array(found["buffer"], np.uint64)
            # NumPy reads its buffer at this place without a look at it.
            if not 0 <= found["buffer_pos"] <= 4:
                raise ValueError(f"buffer_pos is {found['buffer_pos']}")
            self._rng.bit_generator.state = found
        except (TypeError, AttributeError, IndexError, OverflowError) as error:
            raise ValueError(f"no state of random numbers: {error}") from None

    def _at(self, starts: np.ndarray[Any, Any]) -> tuple[Tokens, Tokens]:
        rows = self.tokens[starts[:, None] + np.arange(self.context + 1)]
        return rows[:, :-1].copy(), rows[:, 1:].copy()
