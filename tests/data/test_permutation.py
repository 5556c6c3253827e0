"""The shuffling that keeps nothing: exact, and like chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from tinygrad_tx.data import Permutation
from tinygrad_tx.errors import DataError


@settings(deadline=None)
@given(st.integers(1, 3000), st.integers(-(2**70), 2**70), st.integers(0, 9))
def test_every_thing_comes_once(size: int, seed: int, epoch: int) -> None:
    found = Permutation(size, seed, epoch)(np.arange(size))
    assert sorted(found.tolist()) == list(range(size))


@pytest.mark.parametrize("size", [2**62, 2**62 - 1, 2**61 + 1, 2**40 + 12345])
def test_huge_sizes_stay_inside_and_do_not_meet(size: int) -> None:
    places = np.concatenate([np.arange(5000), size - 1 - np.arange(5000)])
    found = Permutation(size, 7)(places)
    assert found.min() >= 0
    assert found.max() < size
    assert len(np.unique(found)) == len(places)


def test_no_order_is_like_another() -> None:
    places = np.arange(1000)
    orders = [Permutation(1000, seed, epoch)(places) for seed in range(3) for epoch in range(3)]
    for i, one in enumerate(orders):
        for other in orders[:i]:
            assert abs(np.corrcoef(one, other)[0, 1]) < 0.15
            assert (one == other).sum() < 12


@pytest.mark.parametrize("size", [5, 16, 17, 64, 100])
def test_a_thing_lands_anywhere_equally_often(size: int) -> None:
    """Chi-square over 4000 keys, for a first, a middle and a last thing."""
    places = np.array([0, size // 2, size - 1])
    landed = np.array([Permutation(size, key)(places) for key in range(4000)])
    for column in landed.T:
        assert stats.chisquare(np.bincount(column, minlength=size)).pvalue > 1e-4


@pytest.mark.parametrize("size", [1009, 4096, 10_007])
def test_neighbours_do_not_stay_together(size: int) -> None:
    """Serial correlation at some lags, runs up and down, and steps that are spread evenly."""
    order = Permutation(size, 3)(np.arange(size))
    for lag in (1, 2, 3, 64, 100):
        assert abs(np.corrcoef(order[:-lag], order[lag:])[0, 1]) < 4.5 / np.sqrt(size)
    steps = (order[1:] - order[:-1]) % size * 16 // size
    assert stats.chisquare(np.bincount(steps, minlength=16)).pvalue > 1e-4
    # Of a random order (2n - 1) / 3 runs are expected, with variance (16n - 29) / 90.
    turns = 1 + np.count_nonzero(np.diff(np.sign(np.diff(order))))
    assert abs(turns - (2 * size - 1) / 3) < 4.5 * np.sqrt((16 * size - 29) / 90)


@pytest.mark.parametrize("size", [0, -1, 2**62 + 1])
def test_sizes_that_are_none_are_refused(size: int) -> None:
    with pytest.raises(DataError, match="size"):
        Permutation(size)
