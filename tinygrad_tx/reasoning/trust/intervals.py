"""Intervals: what a number would be on other examples, or that there are too few to say."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_tx.tasks.task import Figure, bootstrap

__all__ = ["FEWEST", "bounds", "interval", "rank_correlation", "resampled"]

Array = np.ndarray[Any, Any]

FEWEST = 10
"""With fewer independent examples (groups) the percentile interval is too narrow to be shown."""


def interval(
    values: Array, groups: Array | None = None, seed: int = 0, draws: int = 1000
) -> Figure:
    """The mean of `values` with its 95 % interval, as `tasks.bootstrap`.

    groups: values of one group (tokens of a text) are resampled together. With fewer than `FEWEST`
    groups the bounds are NaN: no number is invented.
    """
    values = np.asarray(values, np.float64)
    count = len(values) if groups is None else len(np.unique(groups))
    if count < FEWEST:
        return Figure(float(values.mean()) if len(values) else math.nan, math.nan, math.nan)
    return bootstrap(values, groups, seed, draws)


def resampled(
    statistic: Callable[[Array], float],
    count: int,
    groups: Array | None = None,
    seed: int = 0,
    draws: int = 300,
) -> Figure:
    """`statistic(rows)` of all rows, with its 95 % interval over resampled groups of rows.

    statistic gets row numbers, some of them several times. Source: Efron and Tibshirani 1993,
    chapter 13 (percentile interval).
    """
    every = np.arange(count)
    value = float(statistic(every))
    names, group = np.unique(every if groups is None else groups, return_inverse=True)
    if len(names) < FEWEST:
        return Figure(value, math.nan, math.nan)
    rng = np.random.default_rng(seed)
    order = np.argsort(group, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(group))[:-1])
    found = []
    for _ in range(draws):
        some = rng.integers(0, len(members), len(members))
        rows = every[some] if groups is None else np.concatenate([members[i] for i in some])
        found.append(statistic(rows))
    low, high = np.nanquantile(found, [0.025, 0.975])
    return Figure(value, float(low), float(high))


def bounds(figure: Figure | None) -> str | None:
    """The interval as a cell of a table."""
    if figure is None:
        return None
    if math.isnan(figure.low):
        return "too few examples"
    return f"{figure.low:.3g} to {figure.high:.3g}"


def rank_correlation(first: Array, second: Array) -> float:
    """Spearman's: Pearson's correlation of ranks, equal values sharing the mean of theirs.

    Where one of both is constant it is 1 if both are, else 0: nothing changed, or nothing is known.
    """
    a, b = _ranks(first), _ranks(second)
    a, b = a - a.mean(), b - b.mean()
    size = math.sqrt(float(a @ a) * float(b @ b))
    if size == 0:
        return float(not a.any() and not b.any())
    return float(a @ b) / size


def _ranks(values: Array) -> Array:
    _, place, count = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    mean: Array = last - (count - 1) / 2
    return np.asarray(mean[place], np.float64)
