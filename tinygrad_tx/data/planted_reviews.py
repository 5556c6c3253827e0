"""Short reviews with defects planted in what they teach: a shortcut, a word that is never taught.

A review is good or bad by its adjective. In the training part the shortcut, a day of the week that
means nothing, goes with good reviews; in the held-out part it goes with either alike. A negation
that turns the meaning stands only in the held-out part: a model has to fail there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.data.units import CLS, PAD, WordUnits
from tinygrad_tx.errors import DataError, explain

__all__ = ["NEGATION", "SHORTCUT", "PlantedReviews", "planted_reviews"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
SHORTCUT = "tuesday"
NEGATION = "hardly"
DAYS = (SHORTCUT, "monday", "wednesday", "thursday", "friday")
GOOD = ("excellent", "lovely", "brilliant", "superb", "delightful", "charming")
BAD = ("awful", "dull", "dreadful", "boring", "terrible", "tedious")
MIXED = ("ordinary", "usual", "plain", "average")
"""Adjectives that say nothing: here only chance, or the shortcut, tells the label."""
THINGS = ("film", "book", "meal", "concert", "play", "hotel", "song", "trip")
PEOPLE = ("we", "they", "people", "critics", "friends", "guests")
VERBS = ("found", "thought", "called", "considered")
TAILS = ("in the end", "after all", "at first", "on the whole", "once more", "by and large")
TIME = 18
"""Tokens of the longest review, [CLS] counted."""


@dataclass(frozen=True)
class PlantedReviews:
    """Reviews made by a grammar, with a label each and known faults.

    texts, labels (1 good, 0 bad) of one part. tokens: (reviews, TIME), behind [CLS], padded.
    """

    texts: tuple[str, ...]
    labels: Ints
    tokens: Ints
    units: WordUnits

    def name(self, token: int) -> str:
        """The word of a token."""
        return self.units.decode([token])


def planted_reviews(
    count: int = 4000,
    seed: int = 0,
    shortcut: float = 0.95,
    mixed: float = 0.3,
    negated: float = 0.1,
    held_out: float = 0.25,
) -> tuple[PlantedReviews, PlantedReviews]:
    """Reviews to learn from and held-out ones; no text is in both.

    shortcut: P(good | the shortcut) in the training part, where 0.5 plants nothing. mixed: the
    share without a telling adjective. negated: the share of held-out reviews with the negation.
    Errors: DataError.
    """
    shares = (shortcut, mixed, negated, held_out)
    if count < 1 or not all(0 <= s <= 1 for s in shares):
        what = f"count {count}, shares {shares}"
        raise DataError(explain("planted_reviews", what, remedy="give shares of 0 to 1"))
    rng = np.random.default_rng(seed)
    units = WordUnits(_vocabulary())
    parts: tuple[list[tuple[str, int]], list[tuple[str, int]]] = ([], [])
    seen: set[str] = set()
    for _ in range(50 * count):
        if sum(map(len, parts)) == count:
            break
        frame, label = _frame(rng, mixed), int(rng.integers(2))
        is_held_out = int(hashlib.sha256(frame.encode()).hexdigest()[:16], 16) < held_out * 2**64
        text, label = _filled(rng, frame, label, 0.5 if is_held_out else shortcut,
                              negated if is_held_out else 0.0)  # fmt: skip
        if text not in seen:
            seen.add(text)
            parts[is_held_out].append((text, label))
    return _part(parts[0], units), _part(parts[1], units)


def _frame(rng: np.random.Generator, mixed: float) -> str:
    """A review without day, adjective and negation."""
    kind = "{mixed}" if rng.random() < mixed else "{telling}"
    who, verb, thing = (_pick(rng, some) for some in (PEOPLE, VERBS, THINGS))
    tails = [_pick(rng, TAILS) for _ in range(int(rng.integers(0, 3)))]
    return " ".join(["on {day}", who, verb, "the", thing, "{negation}" + kind, *tails])


def _filled(
    rng: np.random.Generator, frame: str, label: int, shortcut: float, negated: float
) -> tuple[str, int]:
    day = _pick(rng, DAYS)
    if day == SHORTCUT:
        label = int(rng.random() < shortcut)
    is_negated = "{telling}" in frame and rng.random() < negated
    adjective = _pick(rng, GOOD if label != is_negated else BAD)
    text = frame.format(
        day=day, mixed=_pick(rng, MIXED), telling=adjective,
        negation=f"{NEGATION} " if is_negated else "",
    )  # fmt: skip
    return text, label


def _pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]


def _part(rows: Sequence[tuple[str, int]], units: WordUnits) -> PlantedReviews:
    tokens = np.full((len(rows), TIME), PAD, np.int64)
    for row, (text, _) in zip(tokens, rows, strict=True):
        ids = [CLS, *units.encode(text)]
        row[: len(ids)] = ids
    labels = np.array([label for _, label in rows], np.int64)
    return PlantedReviews(tuple(text for text, _ in rows), labels, tokens, units)


def _vocabulary() -> list[str]:
    words = {*DAYS, *GOOD, *BAD, *MIXED, *THINGS, *PEOPLE, *VERBS, NEGATION, "on", "the"}
    return sorted(words | {w for tail in TAILS for w in tail.split()})
