"""Verbalizers: which words say which label (Schick and Schütze 2021, section 3.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import DataError, explain

__all__ = ["Verbalizer"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Verbalizer:
    """Labels with their words: `Verbalizer({"positive": ["good", "great"], "negative": ["bad"]})`.

    A label's probability is that of any of its words. Errors: DataError for fewer than two labels,
    a label without words, an empty word, and a word of two labels.
    """

    words: Mapping[str, Sequence[str]]

    def __post_init__(self) -> None:
        flat = self.flat
        twice = sorted({w for w in flat if flat.count(w) > 1})
        bare = [label for label, words in self.words.items() if not words]
        text = [label for label, words in self.words.items() if isinstance(words, str)]
        if len(self.words) < 2 or bare or twice or text or "" in flat:
            what = f"{dict(self.words)}: without words {bare}, given twice {twice}"
            remedy = "give at least two labels, each with a list of words of its own"
            raise DataError(explain("Verbalizer", what, remedy=remedy))

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.words)

    @property
    def flat(self) -> list[str]:
        """All words, label by label."""
        return [word for words in self.words.values() for word in words]

    def word(self, label: str) -> str:
        """The first word of a label: what a demonstration says. Errors: DataError."""
        if label not in self.words:
            what = f"{label!r} is not one of {list(self.words)}"
            raise DataError(explain("Verbalizer", what))
        return self.words[label][0]

    def first(self) -> Verbalizer:
        """The same labels with the first word of each alone."""
        return Verbalizer({label: [words[0]] for label, words in self.words.items()})

    def label_scores(self, word_scores: Array) -> Array:
        """log P of each label from those of `flat`: (..., words) -> (..., labels)."""
        ends = np.cumsum([len(words) for words in self.words.values()])
        parts = np.split(np.asarray(word_scores, np.float64), ends[:-1], axis=-1)
        return np.stack([np.logaddexp.reduce(part, axis=-1) for part in parts], -1)

    def probabilities(self, word_scores: Array) -> Array:
        """P of each label, given that one of the words comes: (..., words) -> (..., labels)."""
        scores = self.label_scores(word_scores)
        found: Array = np.exp(scores - np.logaddexp.reduce(scores, axis=-1)[..., None])
        return found
