"""ROUGE: how many words, pairs of words, or words in order a summary shares with the true one.

Lin 2004, sections 2 and 3, as F1 of precision and recall; without stemming.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

__all__ = ["longest_common", "rouge_l", "rouge_n", "words_of"]


def words_of(text: str) -> list[str]:
    """Lower-case runs of letters and digits."""
    return re.findall(r"[^\W_]+", text.lower())


def rouge_n(said: str, truth: str, n: int) -> float:
    """F1 of runs of n words, each counted as often as both texts have it. Lin 2004, section 2."""
    a, b = (_runs(words_of(text), n) for text in (said, truth))
    return _f1(sum((a & b).values()), a.total(), b.total())


def rouge_l(said: str, truth: str) -> float:
    """F1 of the longest common subsequence of words. Lin 2004, section 3.1 with beta 1."""
    a, b = words_of(said), words_of(truth)
    return _f1(longest_common(a, b), len(a), len(b))


def longest_common(a: Sequence[str], b: Sequence[str]) -> int:
    """The length of the longest common subsequence."""
    best = [0] * (len(b) + 1)
    for word in a:
        before = best.copy()
        for j, other in enumerate(b):
            best[j + 1] = before[j] + 1 if word == other else max(best[j], before[j + 1])
    return best[-1]


def _runs(words: list[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def _f1(both: int, said: int, truth: int) -> float:
    return 2 * both / (said + truth) if both else 0.0
