"""Tagging by counts: each word's commonest tag, and a bigram hidden Markov model."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

__all__ = ["CommonestTag", "HiddenMarkov"]

Sentence = Sequence[tuple[str, str]]
Array = np.ndarray[Any, Any]


class CommonestTag:
    """The tag that a word has most often; for unknown words the commonest of all."""

    def __init__(self, sentences: Iterable[Sentence]) -> None:
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        single: Counter[str] = Counter()
        for sentence in sentences:
            for word, tag in sentence:
                counts[word][tag] += 1
                single[tag] += 1
        self._tags = {word: tags.most_common(1)[0][0] for word, tags in counts.items()}
        self._commonest = single.most_common(1)[0][0]

    def tag(self, words: Sequence[str]) -> list[str]:
        return [self._tags.get(word, self._commonest) for word in words]


class HiddenMarkov:
    """argmax over tags of prod P(tag | tag before) P(word | tag), by the Viterbi algorithm.

    Transitions are smoothed by adding 0.1; an unknown word is as likely under a tag as words that
    training saw once are, shared by its last character. Source: Brants 2000, sections 2.1 and 2.3,
    with bigrams.
    """

    def __init__(self, sentences: Iterable[Sentence]) -> None:
        found = list(sentences)
        self.tags = sorted({tag for s in found for _, tag in s})
        self._index = {tag: i for i, tag in enumerate(self.tags)}
        size = len(self.tags)
        emitted: defaultdict[str, Array] = defaultdict(lambda: np.zeros(size))
        moves = np.full((size + 1, size), 0.1)  # the last row: from the start
        for sentence in found:
            before = size
            for word, tag in sentence:
                now = self._index[tag]
                emitted[word][now] += 1
                moves[before, now] += 1
                before = now
        self._moves = np.log(moves / moves.sum(1, keepdims=True))
        self._totals = np.sum(list(emitted.values()), 0)
        self._emitted = {w: np.log((c + 1e-6) / self._totals) for w, c in emitted.items()}
        self._unknown, self._endings = self._rare(emitted)

    def _rare(self, emitted: dict[str, Array]) -> tuple[Array, dict[str, Array]]:
        """log P(unknown word | tag) up to a constant: of any, and by the last character."""
        once = {w: c for w, c in emitted.items() if c.sum() == 1}
        overall = np.sum(list(once.values()), 0) + 0.01 if once else np.ones(len(self.tags))
        endings: defaultdict[str, Array] = defaultdict(lambda: np.zeros(len(self.tags)))
        for word, count in once.items():
            endings[word[-1]] = endings[word[-1]] + count
        share = overall / overall.sum()
        found = {c: np.log((n + share) / (n.sum() + 1) / self._totals) for c, n in endings.items()}
        return np.log(share / self._totals), found

    def tag(self, words: Sequence[str]) -> list[str]:
        best, back = np.zeros(0), []
        for i, word in enumerate(words):
            emission = self._emitted.get(word)
            if emission is None:
                emission = self._endings.get(word[-1], self._unknown)
            if i == 0:
                best = self._moves[-1] + emission
                continue
            paths = best[:, None] + self._moves[:-1]  # (before, now)
            back.append(paths.argmax(0))
            best = paths.max(0) + emission
        if not words:
            return []
        path = [int(best.argmax())]
        for choice in reversed(back):
            path.append(int(choice[path[-1]]))
        return [self.tags[i] for i in reversed(path)]
