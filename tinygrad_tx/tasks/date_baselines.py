"""Dates and numbers into ISO form without a network: copying digits, looking up, a rule."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_tx.data.renderings import Rendering

__all__ = ["MonthWords", "NearestText", "copied"]

Array = np.ndarray[Any, Any]
WORDS = re.compile(r"[^\W\d_]+")


def copied(text: str) -> str:
    """The digits in order: three numbers joined by "-", as a date; else all as one number."""
    found = re.findall(r"\d+", unicodedata.normalize("NFKC", text))
    if len(found) == 3 and max(map(len, found)) == 4:
        return "-".join(f"{n:0>2}" for n in found)
    return "".join(found)


class NearestText:
    """The answer of the training text with the largest share of common character trigrams.

    The cosine of counts, hashed to `size` numbers.
    """

    def __init__(self, train: Sequence[Rendering], size: int = 1024) -> None:
        self.size, self.answers = size, [r.iso for r in train]
        self.counts = self._counted([r.text for r in train])

    def answer(self, texts: Sequence[str]) -> list[str]:
        """One for each text."""
        found: list[str] = []
        for start in range(0, len(texts), 256):
            alike = self._counted(texts[start : start + 256]) @ self.counts.T
            found += [self.answers[i] for i in alike.argmax(1)]
        return found

    def _counted(self, texts: Sequence[str]) -> Array:
        found = np.zeros((len(texts), self.size), np.float32)
        for row, text in zip(found, texts, strict=True):
            framed = f"  {text} "
            for i in range(len(framed) - 2):
                row[zlib.crc32(framed[i : i + 3].encode()) % self.size] += 1
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


class MonthWords:
    """A rule that knows what a date is: four digits are the year, one or two the day, and the
    month is what the words of the text stood for most surely in training.

    Where the month is a number too, the order of the three says which is which.
    """

    def __init__(self, train: Sequence[Rendering]) -> None:
        self.months: dict[str, Counter[str]] = defaultdict(Counter)
        for r in train:
            if r.iso.count("-") == 2:
                for word in _words(r.text):
                    self.months[word][r.iso[5:7]] += 1

    def answer(self, text: str) -> str:
        numbers = re.findall(r"\d+", text)
        years = [n for n in numbers if len(n) == 4]
        rest = [n for n in numbers if len(n) < 3]
        if len(years) != 1 or len(numbers) != len(rest) + 1 or not 1 <= len(rest) <= 2:
            return copied(text)
        if len(rest) == 2:
            day, month = rest if numbers[-1] == years[0] else rest[::-1]
            if any(c.isalpha() for c in text) and numbers[-1] == years[0]:
                day, month = rest
        else:
            day, month = rest[0], self._month(text)
        return f"{years[0]}-{month:0>2}-{day:0>2}"

    def _month(self, text: str) -> str:
        best, surest = "00", 0.0
        for word in _words(text):
            if word in self.months:
                month, count = self.months[word].most_common(1)[0]
                share = count / self.months[word].total()
                if share > surest:
                    best, surest = month, share
        return best


def _words(text: str) -> list[str]:
    """Words with the signs that combine with their letters; of several, the longest first."""
    spelled = unicodedata.normalize("NFC", text).casefold()
    pieces = re.split(r"[\d\s.,/()-]+", spelled)
    return sorted((p for p in pieces if p), key=len, reverse=True)
