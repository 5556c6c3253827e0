"""Intervals and tests: what is said of a measurement made on a sample, and what is not.

Groups too small for an interval get none: `value` alone, or nothing. No number is invented. The
interval of a mean of many independent values, or of their paired differences, is `tasks.bootstrap`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np
from scipy.special import stdtr, stdtrit

from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.tasks.task import Figure

__all__ = [
    "Estimate",
    "benjamini_hochberg",
    "difference_by_permutation",
    "difference_of_shares",
    "fisher",
    "holm",
    "mean_of_clusters",
    "sign_flip",
    "sign_test",
    "wilson",
]

Array = np.ndarray[Any, Any]
EXACT = 20_000
"""Up to so many arrangements are all tried; beyond that so many are drawn."""
LEAST = 3
"""Fewer clusters than this give no interval."""


@dataclass(frozen=True)
class Estimate:
    """A value with what is known of its uncertainty.

    figure: with its 95 % interval, None where there are too few clusters. p: two-sided, of the
    hypothesis that it is 0; None where no test is possible. clusters: how many independent parts it
    rests on. note: why something is missing.
    """

    value: float
    figure: Figure | None
    p: float | None
    clusters: int
    note: str = ""


def mean_of_clusters(values: Sequence[float] | Array, clusters: Sequence[Any] | Array) -> Estimate:
    """The mean of the clusters' means, with Student's interval over clusters and its t-test.

        m_c = mean of values in cluster c,  m = mean m_c,  s^2 = sum (m_c - m)^2 / (k - 1)
        m +- t_{0.975, k-1} s / sqrt(k),   p = 2 P(T_{k-1} > |m| sqrt(k) / s)

    What is measured inside a cluster (a template, a model, a pair of words) is not independent: the
    cluster counts once. Exact for normal m_c, and good beyond; a few clusters make it wide, as it
    should be. Fewer than three give no interval. Errors: DataError for no values or for NaN.
    Source: Student 1908; Cameron, Gelbach and Miller 2008, section 2 (few clusters).
    """
    values = np.asarray(values, np.float64)
    if not values.size or not np.isfinite(values).all() or len(clusters) != len(values):
        bad = int((~np.isfinite(values)).sum())
        what = f"{values.size} values, {bad} of them not finite, in {len(clusters)} clusters"
        raise DataError(explain("mean_of_clusters", what, remedy="give a cluster for each value"))
    _, group = np.unique(np.asarray(clusters), return_inverse=True)
    means = np.bincount(group, values) / np.bincount(group)
    count, mean = len(means), float(means.mean())
    if count < LEAST:
        note = f"{count} independent part{'s' if count > 1 else ''}: too few for an interval"
        return Estimate(mean, None, None, count, note)
    error = float(means.std(ddof=1)) / math.sqrt(count)
    reach = float(stdtrit(count - 1, 0.975)) * error
    # All clusters alike to the last bit: an interval of width 0 would claim to know too much.
    if error <= 1e-12 * max(1.0, abs(mean)):
        return Estimate(mean, None, None, count, "no spread between the parts: no interval")
    p = 2 * float(stdtr(count - 1, -abs(mean) / error))
    return Estimate(mean, Figure(mean, mean - reach, mean + reach), p, count)


def sign_flip(
    differences: Sequence[float] | Array, seed: int = 0, draws: int = EXACT
) -> float | None:
    """p, two-sided, that paired differences are symmetric about 0: their signs are flipped.

    The share of all 2^n sign patterns (where those are no more than EXACT, else of `draws` drawn
    ones, the given one counted) whose sum is at least as far from 0. None for fewer than 5 pairs,
    where p could not be below 0.05. Source: Fisher 1935, section 21; Phipson and Smyth 2010 (the
    one that is added).
    """
    d = np.asarray(differences, np.float64)
    if len(d) < 5:
        return None
    found = abs(d.sum())
    edge = found * (1 - 1e-12) - 1e-300
    if 2 ** len(d) <= EXACT:
        signs = np.array(list(product((1.0, -1.0), repeat=len(d))))
        return float((np.abs(signs @ d) >= edge).mean())
    rng = np.random.default_rng(seed)
    signs = rng.integers(0, 2, (draws, len(d))) * 2.0 - 1
    return float((1 + (np.abs(signs @ d) >= edge).sum()) / (1 + draws))


def sign_test(first: Sequence[float] | Array, second: Sequence[float] | Array) -> float:
    """p, one-sided and exact, that the first of paired values is larger so often by chance alone.

    P of at least so many of n fair coins; pairs that are equal are left out. Source: Dixon and
    Mood 1946; for answers that are right or wrong McNemar 1947.
    """
    x, y = np.asarray(first, np.float64), np.asarray(second, np.float64)
    larger, smaller = int((x > y).sum()), int((x < y).sum())
    count = larger + smaller
    logs = [_log_choose(count, k) - count * math.log(2) for k in range(larger, count + 1)]
    return min(1.0, float(np.exp(logs).sum()))


def difference_by_permutation(
    first: Sequence[float] | Array,
    second: Sequence[float] | Array,
    seed: int = 0,
    draws: int = EXACT,
    statistic: Callable[[Array, Array], Array] | None = None,
    is_one_sided: bool = False,
) -> float:
    """p of the difference of two samples' means when it is chance who is in which.

    All ways to divide are tried where they are no more than EXACT, else `draws` drawn ones and the
    given one. statistic(first, second) of arrays (ways, size): another number to compare.
    is_one_sided: how often it is as large; else as far from 0. Source: Fisher 1935, section 21.
    """
    x, y = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if not x.size or not y.size:
        what = f"samples of {x.size} and {y.size} values"
        raise DataError(explain("difference_by_permutation", what, remedy="give both"))
    measure = statistic or (lambda a, b: a.mean(-1) - b.mean(-1))
    both, size = np.concatenate([x, y]), len(x)
    found = float(np.asarray(measure(x[None], y[None]))[0])
    is_exact = math.comb(len(both), size) <= EXACT
    chosen = _ways(len(both), size, is_exact, seed, draws)
    rest = np.ones((len(chosen), len(both)), bool)
    np.put_along_axis(rest, chosen, False, 1)
    others = np.nonzero(rest)[1].reshape(len(chosen), -1)
    values = np.asarray(measure(both[chosen], both[others]))
    if not is_one_sided:
        values, found = np.abs(values), abs(found)
    as_far = int((values >= found - 1e-12 * max(1.0, abs(found))).sum())
    return as_far / len(chosen) if is_exact else (1 + as_far) / (1 + len(chosen))


def _ways(total: int, size: int, is_exact: bool, seed: int, draws: int) -> Array:
    if is_exact:
        return np.array(list(combinations(range(total), size)))
    rng = np.random.default_rng(seed)
    return np.argsort(rng.random((draws, total)), axis=1)[:, :size]


def wilson(successes: int, count: int) -> Figure:
    """A share with its 95 % interval, which stays within 0 and 1 and is not empty at either end.

        (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n),  z = 1.96

    Errors: DataError for counts that are none. Source: Wilson 1927; Brown, Cai and DasGupta 2001.
    """
    if not 0 <= successes <= count or count < 1:
        what = f"{successes} of {count}"
        raise DataError(explain("wilson", what, remedy="give 0 to count, of at least one"))
    z, p = 1.959963984540054, successes / count
    middle = (p + z**2 / (2 * count)) / (1 + z**2 / count)
    reach = z * math.sqrt(p * (1 - p) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    low = 0.0 if successes == 0 else middle - reach
    high = 1.0 if successes == count else middle + reach
    return Figure(p, low, high)


def difference_of_shares(first: int, of_first: int, second: int, of_second: int) -> Figure:
    """first/of_first - second/of_second with its 95 % interval, from Wilson's of each.

    low = d - sqrt((p - l_p)^2 + (u_q - q)^2),  high = d + sqrt((u_p - p)^2 + (q - l_q)^2)
    Source: Newcombe 1998, method 10.
    """
    p, q = wilson(first, of_first), wilson(second, of_second)
    d = p.value - q.value
    low = d - math.hypot(p.value - p.low, q.high - q.value)
    high = d + math.hypot(p.high - p.value, q.value - q.low)
    return Figure(d, low, high)


def fisher(first: int, of_first: int, second: int, of_second: int) -> float:
    """p, two-sided, that both shares are of one kind: all tables with the same margins whose
    probability is no larger. Source: Fisher 1935; Agresti 1992."""
    total, marked = of_first + of_second, first + second
    low, high = max(0, marked - of_second), min(of_first, marked)
    logs = np.array(
        [
            _log_choose(of_first, k) + _log_choose(of_second, marked - k)
            for k in range(low, high + 1)
        ]
    ) - _log_choose(total, marked)
    as_rare = logs <= logs[first - low] + 1e-9
    return min(1.0, float(np.exp(logs[as_rare]).sum()))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def holm(p: Sequence[float] | Array) -> Array:
    """Adjusted p, so that any false finding at all among them has the probability stated.

    p~_(i) = max_{j <= i} min(1, (m - j + 1) p_(j)), sorted from the smallest. Any dependence.
    Source: Holm 1979.
    """
    given = _probabilities(p, "holm")
    order = np.argsort(given, kind="stable")
    factors = len(given) - np.arange(len(given))
    found = np.empty_like(given)
    found[order] = np.minimum(np.maximum.accumulate(given[order] * factors), 1)
    return found


def benjamini_hochberg(p: Sequence[float] | Array) -> Array:
    """Adjusted p, so that of what is found a share of at most that is false, on average.

    q_(i) = min_{j >= i} min(1, m p_(j) / j). For independent tests and positive dependence.
    Source: Benjamini and Hochberg 1995.
    """
    given = _probabilities(p, "benjamini_hochberg")
    order = np.argsort(given, kind="stable")
    scaled = given[order] * len(given) / (1 + np.arange(len(given)))
    found = np.empty_like(given)
    found[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1)
    return found


def _probabilities(p: Sequence[float] | Array, who: str) -> Array:
    given = np.asarray(p, np.float64)
    if given.ndim != 1 or not ((given >= 0) & (given <= 1)).all():
        raise DataError(explain(who, f"{p!r} are not probabilities in a row"))
    return given
