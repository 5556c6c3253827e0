"""The bigram count model: what a language model must beat to have learnt anything."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["bigram_loss"]


def bigram_loss(
    train: np.ndarray[Any, Any],
    held_out: np.ndarray[Any, Any],
    vocab_size: int,
    smoothing: tuple[float, ...] = (1.0, 0.3, 0.1, 0.03, 0.01),
) -> float:
    """Mean cross-entropy in nats of `held_out` under P(next | token) counted in `train`.

    Shapes: each is (time,), or (rows, time); no pair of tokens goes from one row to the next.

    Counts are smoothed towards the unigram distribution, (n(ab) + s V p(b)) / (n(a) + s V), with
    the strength s that serves the held-out text best: the baseline gets every benefit of doubt.
    """
    pairs = (train[..., :-1] * vocab_size + train[..., 1:]).ravel()
    kinds, counts = np.unique(pairs, return_counts=True)
    singles = np.bincount(train.ravel(), minlength=vocab_size)
    unigram = (singles + 1.0) / (singles.sum() + vocab_size)
    before, after = held_out[..., :-1].ravel(), held_out[..., 1:].ravel()
    wanted = before * vocab_size + after
    at = np.minimum(np.searchsorted(kinds, wanted), len(kinds) - 1)
    seen = np.where(kinds[at] == wanted, counts[at], 0)
    begun = np.bincount(train[..., :-1].ravel(), minlength=vocab_size)[before]
    losses = []
    for strength in smoothing:
        weight = strength * vocab_size
        chance = (seen + weight * unigram[after]) / (begun + weight)
        losses.append(float(-np.log(chance).mean()))
    return min(losses)
