"""Masked words: which tokens are hidden, what stands in their place, what is asked for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_tx.data.units import FIRST, MASK

__all__ = ["hide_words", "most_hidden"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
SHARE = 0.15
NONE = -100  # what cross_entropy leaves out


def most_hidden(time: int) -> int:
    """The most words that `hide_words` hides in a row of `time` tokens."""
    return max(1, math.ceil(SHARE * time))


def hide_words(tokens: Ints, vocab_size: int, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
    """15 % of the ordinary tokens of each row, at least one: (seen, words, places).

    seen (batch, time): a hidden token is [MASK] in 80 %, a random one in 10 %, itself in 10 % of
    cases. words and places (batch, most): the tokens asked for, -100 beyond them, and where.
    Special tokens are never hidden. Source: Devlin et al. 2019, section 3.1.
    """
    batch, time = tokens.shape
    most = most_hidden(time)
    ordinary = tokens >= FIRST
    keys = np.where(ordinary, rng.random(tokens.shape), 2.0)
    places = np.argsort(keys, axis=1, kind="stable")[:, :most]
    counts = np.clip(np.rint(SHARE * ordinary.sum(1)), np.minimum(ordinary.sum(1), 1), most)
    asked = np.arange(most) < counts[:, None]  # (batch, most)
    rows = np.arange(batch)[:, None]
    here = tokens[rows, places]
    chance = rng.random(places.shape)
    random = rng.integers(FIRST, vocab_size, places.shape)
    shown = np.where(chance < 0.8, MASK, np.where(chance < 0.9, random, here))
    seen = tokens.copy()
    seen[rows, places] = np.where(asked, shown, here)
    return seen, np.where(asked, here, NONE), np.where(asked, places, 0)
