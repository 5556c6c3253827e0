"""Guessing a hidden word from counts: the commonest word, and the neighbours on both sides."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_tx.data.units import FIRST

__all__ = ["Neighbours", "neighbours_of"]

Array = np.ndarray[Any, Any]
STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3)


class Neighbours:
    """Counts of words and of pairs of neighbours in rows of tokens (rows, time)."""

    def __init__(self, tokens: Array, vocab_size: int) -> None:
        pairs = tokens[:, :-1].astype(np.int64) * vocab_size + tokens[:, 1:]
        counts = np.bincount(pairs.ravel(), minlength=vocab_size**2)
        self.pairs = counts.reshape(vocab_size, vocab_size).astype(np.float64)
        single = np.bincount(tokens.ravel(), minlength=vocab_size).astype(np.float64)
        single[:FIRST] = 0  # special tokens are never asked for
        self.unigram = (single + 0.01) / (single + 0.01).sum()

    def commonest(self) -> int:
        """The word that counting alone would always say."""
        return int(self.unigram.argmax())

    def log_scores(self, left: Array, right: Array, strength: float) -> Array:
        """log P(word | left, right), normalised: (asked, vocab).

        P(w | l, r) ~ P(w | l) P(r | w), each smoothed towards P(w) and P(r): a Markov chain's
        guess. A neighbour that is itself hidden has the smoothed counts of [MASK], which are none.
        """
        size = len(self.unigram)
        weight = strength * size
        after = self.pairs[left] + weight * self.unigram  # (asked, vocab), up to a factor
        sums = self.pairs.sum(1)
        before = (self.pairs[:, right].T + weight * self.unigram[right][:, None]) / (sums + weight)
        scores = np.log(after) + np.log(before)
        largest = scores.max(1, keepdims=True)
        total = largest + np.log(np.exp(scores - largest).sum(1, keepdims=True))
        found: Array = scores - total
        return found

    def best(self, left: Array, right: Array, words: Array) -> tuple[Array, float]:
        """Whether each word is guessed, and the loss in nats, at the strength that serves best.

        The strength is chosen on the words asked for: the baseline gets every benefit of doubt.
        """
        found = []
        for strength in STRENGTHS:
            scores = self.log_scores(left, right, strength)
            loss = -float(scores[np.arange(len(words)), words].mean())
            found.append((loss, scores.argmax(1) == words))
        loss, right_guesses = min(found, key=lambda pair: pair[0])
        return right_guesses, loss


def neighbours_of(seen: Array, rows: Array, places: Array) -> tuple[Array, Array]:
    """The tokens left and right of the places, as the model sees them."""
    return seen[rows, places - 1], seen[rows, np.minimum(places + 1, seen.shape[1] - 1)]
