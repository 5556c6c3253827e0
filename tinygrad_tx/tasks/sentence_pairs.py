"""Pairs of sentences for BERT's pretraining: the next one in half of the cases, else another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_tx.data import Batch, Examples, Units, framed, hide_words
from tinygrad_tx.data.sentences import Run
from tinygrad_tx.data.units import PAD

__all__ = ["SentencePairs"]

Array = np.ndarray[Any, Any]


class SentencePairs:
    """Sentences of runs as tokens, and who follows whom.

    The other sentence is drawn from those that follow some sentence of another topic: a second
    sentence is as likely to be long, or a title, whether it is the next one or not.
    """

    def __init__(self, runs: Sequence[Run], units: Units, time: int) -> None:
        self.units, self.time = units, time
        self.tokens = [units.encode(s) for run in runs for s in run.sentences]
        lengths = [len(run.sentences) for run in runs]
        topics = {name: i for i, name in enumerate(dict.fromkeys(run.topic for run in runs))}
        self.topic = np.repeat([topics[run.topic] for run in runs], lengths)
        last = np.cumsum(lengths) - 1
        self.first = np.setdiff1d(np.arange(len(self.tokens)), last)  # those with a next sentence
        self.second = self.first + 1

    def draw(self, first: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """For sentences with a next one: the second of each pair; 1 where it is not the next."""
        is_not_next = rng.integers(0, 2, len(first))
        second = first + 1
        for i in np.flatnonzero(is_not_next):
            while self.topic[second[i]] == self.topic[first[i]]:
                second[i] = rng.choice(self.second)
        return second, is_not_next

    def framed(self, first: Array, second: Array) -> tuple[Array, Array]:
        """Tokens and segments of pairs: (pairs, time) each."""
        made = [
            framed(self.tokens[a], self.time, self.tokens[b])
            for a, b in zip(first.tolist(), second.tolist(), strict=True)
        ]
        return np.stack([t for t, _ in made]), np.stack([s for _, s in made])

    def batches(self, batch: int, seed: int) -> Examples:
        """Batches for `BERT.loss`: other pairs and other hidden words at each round."""

        def change(rows: Batch, rng: np.random.Generator) -> Batch:
            second, is_not_next = self.draw(rows[0], rng)
            tokens, segments = self.framed(rows[0], second)
            seen, words, places = hide_words(tokens, self.units.vocab_size, rng)
            return seen, words, is_not_next, segments, seen != PAD, places

        return Examples([self.first], batch, seed, change)
