"""Multinomial naive Bayes on characters and their bigrams: what a classifier has to beat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["NaiveBayes"]


class NaiveBayes:
    """argmax_c log P(c) + sum over features n_f log P(f | c), Manning et al. 2008, section 13.2.

    P(f | c) is smoothed by adding one to each count; features that training never saw are left out.
    """

    def __init__(self, texts: Sequence[str], labels: Sequence[int], classes: int = 2) -> None:
        counts = [Counter[str]() for _ in range(classes)]
        for text, label in zip(texts, labels, strict=True):
            counts[label].update(features(text))
        known = sorted(set().union(*counts))
        self._index = {f: i for i, f in enumerate(known)}
        table = np.array([[c[f] for f in known] for c in counts], np.float64) + 1.0
        self._log = np.log(table / table.sum(1, keepdims=True))  # (classes, features)
        seen = np.bincount(labels, minlength=classes) + 1.0
        self._prior = np.log(seen / seen.sum())

    def scores(self, text: str) -> np.ndarray[Any, Any]:
        """log P(c, text) up to a constant: (classes,)."""
        at = [i for f in features(text) if (i := self._index.get(f)) is not None]
        scores: np.ndarray[Any, Any] = self._prior + self._log[:, at].sum(1)
        return scores

    def predict(self, texts: Sequence[str]) -> np.ndarray[Any, Any]:
        """The likeliest class of each text: (texts,)."""
        return np.array([int(self.scores(text).argmax()) for text in texts])


def features(text: str) -> list[str]:
    """Characters without spaces, and pairs of neighbours."""
    plain = "".join(text.split())
    return [*plain, *(plain[i : i + 2] for i in range(len(plain) - 1))]
