"""Intervals and tests against tables, exact enumeration and samples whose truth is known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tinygrad_tx.errors import DataError
from tinygrad_tx.reasoning.audits.statistics import (
    benjamini_hochberg,
    difference_by_permutation,
    difference_of_shares,
    fisher,
    holm,
    mean_of_clusters,
    sign_flip,
    wilson,
)

PROBABILITIES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_student_s_sleep_data() -> None:
    """Student 1908: differences of ten patients; t = 4.0621 with 9 degrees, p = 0.00283."""
    hours = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    got = mean_of_clusters(hours, range(10))
    assert got.figure is not None
    assert got.value == pytest.approx(1.58)
    assert got.p == pytest.approx(0.002833, abs=2e-6)
    assert (got.figure.low, got.figure.high) == pytest.approx((0.7001, 2.4599), abs=2e-4)


def test_a_cluster_counts_once_however_often_it_was_measured() -> None:
    once = mean_of_clusters([1.0, 2.0, 4.0], [0, 1, 2])
    often = mean_of_clusters([1.0] * 50 + [2.0] + [4.0] * 3, [0] * 50 + [1] + [2] * 3)
    assert once == often


def test_the_interval_holds_the_mean_in_95_of_100_cases() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(1000):
        shared = rng.normal(2.0, 1.0, 5)  # what the ten values of a cluster have in common
        values = (shared[:, None] + rng.normal(0, 0.3, (5, 10))).ravel()
        figure = mean_of_clusters(values, np.repeat(np.arange(5), 10)).figure
        assert figure is not None
        hits += figure.low <= 2.0 <= figure.high
    assert 930 <= hits <= 968  # 950, three standard errors


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_clusters_give_no_interval_and_say_so(count: int) -> None:
    got = mean_of_clusters([1.0] * count, range(count))
    assert got.figure is None
    assert got.p is None
    assert "too few" in got.note


def test_clusters_that_agree_to_the_bit_give_no_interval() -> None:
    got = mean_of_clusters([0.5] * 6, range(6))
    assert got.figure is None
    assert "no spread" in got.note


@pytest.mark.parametrize("values", [[], [1.0, math.nan, 2.0], [math.inf, 0.0, 0.0]])
def test_what_is_not_finite_is_refused(values: list[float]) -> None:
    with pytest.raises(DataError, match="not finite"):
        mean_of_clusters(values, range(len(values)))


def test_sign_flips_are_all_enumerated() -> None:
    d = [0.3, -0.1, 0.7, 0.4, 0.2, 0.6]
    sums = [abs(sum(s * x for s, x in zip(signs, d, strict=True)))
            for signs in itertools.product((1, -1), repeat=6)]  # fmt: skip
    wanted = sum(s >= abs(sum(d)) - 1e-12 for s in sums) / 64
    assert sign_flip(d) == wanted


def test_fisher_s_randomisation_of_darwin_s_plants() -> None:
    """Fisher 1935, section 21: of 32,768 sign patterns 1,726 are at least as extreme."""
    d = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    assert sign_flip(d, draws=10**6) == pytest.approx(1726 / 32768, abs=7e-4)


def test_fewer_than_five_pairs_have_no_p() -> None:
    assert sign_flip([1, 2, 3, 4]) is None
    assert sign_flip([1, 2, 3, 4, 5]) == 2 / 32


def test_permutations_are_all_enumerated() -> None:
    x, y = [1.0, 2.5, 3.0], [0.5, 1.5, -1.0, 0.2]
    both, found = x + y, np.mean(x) - np.mean(y)
    ways = []
    for chosen in itertools.combinations(range(7), 3):
        inside = [both[i] for i in chosen]
        outside = [both[i] for i in range(7) if i not in chosen]
        ways.append(np.mean(inside) - np.mean(outside))
    assert difference_by_permutation(x, y) == np.mean(np.abs(ways) >= abs(found) - 1e-12)
    one_sided = difference_by_permutation(x, y, is_one_sided=True)
    assert one_sided == np.mean(np.array(ways) >= found - 1e-12)


def test_drawn_permutations_are_uniform_where_nothing_differs() -> None:
    rng = np.random.default_rng(1)
    found = [
        difference_by_permutation(rng.normal(size=12), rng.normal(size=14), draws=200)
        for _ in range(300)
    ]
    assert 0.02 <= np.mean(np.array(found) < 0.05) <= 0.09
    assert np.mean(found) == pytest.approx(0.5, abs=0.06)


def test_wilson_s_interval_is_that_of_newcombe_s_examples() -> None:
    """Newcombe 1998, table I, method 3: 81/263, 15/148, 0/20, 1/29."""
    for successes, count, low, high in (
        (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):  # fmt: skip
        got = wilson(successes, count)
        assert (got.low, got.high) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(0, 40), st.integers(1, 40))
def test_wilson_holds_the_share_and_stays_a_share(successes: int, count: int) -> None:
    got = wilson(min(successes, count), count)
    assert 0 <= got.low <= got.value <= got.high <= 1
    assert got.low < got.high


def test_the_difference_of_shares_is_newcombe_s() -> None:
    """Newcombe 1998 (differences), table II, method 10: 56/70 - 48/80 and 9/10 - 3/10."""
    for a, m, b, n, low, high in ((56, 70, 48, 80, 0.0524, 0.3339), (9, 10, 3, 10, 0.1705, 0.8090)):
        got = difference_of_shares(a, m, b, n)
        assert (got.low, got.high) == pytest.approx((low, high), abs=1e-4)


def test_the_lady_tasting_tea() -> None:
    """Fisher 1935: 3 of 4 cups right: 34/70 two-sided; 4 of 4: 2/70."""
    assert fisher(3, 4, 1, 4) == pytest.approx(34 / 70)
    assert fisher(4, 4, 0, 4) == pytest.approx(2 / 70)


def test_holm_by_hand() -> None:
    found = holm([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(found, [0.03, 0.06, 0.06, 0.02])


def test_benjamini_and_hochberg_s_own_example() -> None:
    """Benjamini and Hochberg 1995, section 3.2: 15 tests, 4 found at 0.05, by Holm 3."""
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240,
         0.4262, 0.5719, 0.6528, 0.7590, 1.0]  # fmt: skip
    assert (benjamini_hochberg(p) <= 0.05).sum() == 4
    assert (holm(p) <= 0.05).sum() == 3


@given(PROBABILITIES)
def test_corrections_never_lower_a_p_and_keep_the_order(p: list[float]) -> None:
    for correct in (holm, benjamini_hochberg):
        found = correct(p)
        assert (found >= np.array(p) - 1e-15).all()
        assert (found <= 1).all()
        order = np.argsort(p, kind="stable")
        assert (np.diff(found[order]) >= 0).all()
    assert (benjamini_hochberg(p) <= holm(p) + 1e-12).all()


@given(PROBABILITIES)
def test_corrections_do_not_depend_on_the_order(p: list[float]) -> None:
    order = np.random.default_rng(len(p)).permutation(len(p))
    for correct in (holm, benjamini_hochberg):
        np.testing.assert_allclose(correct(np.array(p)[order]), correct(p)[order], rtol=1e-12)


def test_holm_keeps_the_family_s_error_rate() -> None:
    rng = np.random.default_rng(2)
    false = [(holm(rng.random(20)) < 0.05).any() for _ in range(2000)]
    assert np.mean(false) == pytest.approx(0.049, abs=0.016)


def test_what_is_no_probability_is_refused() -> None:
    for p in ([0.1, 1.2], [math.nan], [-0.1]):
        with pytest.raises(DataError, match="not probabilities"):
            holm(p)
