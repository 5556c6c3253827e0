"""What a next-sentence classifier could learn without reading: lengths, and words in common."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["length_features", "logistic_regression", "overlap_features"]

Array = np.ndarray[Any, Any]


def length_features(first: Array, second: Array) -> Array:
    """Lengths of both texts, their logarithms, difference and product: (pairs, 6).

    first, second: tokens (pairs, time), 0 where there is none.
    """
    a, b = ((t > 0).sum(1).astype(np.float64) for t in (first, second))
    return np.stack([a, b, np.log(a + 1), np.log(b + 1), np.abs(a - b), a * b], 1)


def overlap_features(first: Array, second: Array) -> Array:
    """Different words in both texts, as a number and as shares of either and of all: (pairs, 4)."""
    rows = []
    for x, y in zip(first.tolist(), second.tolist(), strict=True):
        a, b = set(x) - {0}, set(y) - {0}
        both = len(a & b)
        rows.append([both, both / max(1, len(a)), both / max(1, len(b)), both / max(1, len(a | b))])
    return np.array(rows, np.float64)


def logistic_regression(
    train: Array, labels: Array, test: Array, penalty: float = 1e-3, steps: int = 50
) -> Array:
    """Classes (0 or 1) of the rows of `test`, by Newton's method on standardised features.

    Source: Hastie et al. 2009, section 4.4.1, with a penalty on the squared weights.
    """
    mean, spread = train.mean(0), train.std(0) + 1e-9
    x, z = (np.c_[np.ones(len(t)), (t - mean) / spread] for t in (train, test))
    weights = np.zeros(x.shape[1])
    for _ in range(steps):
        p = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        gradient = x.T @ (p - labels) / len(x) + penalty * weights
        hessian = (x * (p * (1 - p))[:, None]).T @ x / len(x) + penalty * np.eye(x.shape[1])
        change = np.linalg.solve(hessian, gradient)
        weights -= change
        if np.abs(change).max() < 1e-9:
            break
    found: Array = (z @ weights > 0).astype(np.int64)
    return found
