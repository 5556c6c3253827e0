"""Metrics of patching, and how much of them came back."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.errors import DataError, IndexRangeError, NonFiniteError, ShapeError
from tinygrad_tx.reasoning.circuits.metric import LogitDifference, aligned_pair, recovered, recovery

LOGITS = np.random.default_rng(0).normal(size=(4, 3, 5)).astype(np.float32)


def test_a_logit_difference_is_read_at_its_position_for_each_run() -> None:
    """Four rows are two runs of two prompts."""
    found = LogitDifference([1, 2], [3, 0], [0, -1])(tx.tensor(LOGITS)).numpy()
    a, b, c, d = LOGITS[0, 0], LOGITS[1, 2], LOGITS[2, 0], LOGITS[3, 2]
    expected = [a[1] - a[3], b[2] - b[0], c[1] - c[3], d[2] - d[0]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    last = LogitDifference([1, 2], [3, 0])(tx.tensor(LOGITS)).numpy()
    np.testing.assert_allclose(last[2], LOGITS[2, -1, 1] - LOGITS[2, -1, 3], rtol=1e-6)


def test_a_metric_that_does_not_fit_says_so() -> None:
    with pytest.raises(ShapeError, match="one for each prompt"):
        LogitDifference([1, 2, 3], [0, 0, 0])(tx.tensor(LOGITS))
    with pytest.raises(IndexRangeError, match="outside of 5 tokens and 3 positions"):
        LogitDifference([1], [5])(tx.tensor(LOGITS))
    with pytest.raises(IndexRangeError):
        LogitDifference([1], [2], 3)(tx.tensor(LOGITS))


def test_what_came_back_is_a_ratio_of_means() -> None:
    zero, one = np.array([0.0, 0.0]), np.array([1.0, 3.0])
    assert recovered(np.array([1.0, 0.0]), zero, one) == pytest.approx(0.25)
    assert recovered(one, zero, one) == 1


def test_prompts_that_the_metric_does_not_tell_apart_are_refused() -> None:
    with pytest.raises(DataError, match="on clean and corrupted prompts alike"):
        recovered(np.ones(2), np.ones(2), np.ones(2))
    with pytest.raises(NonFiniteError):
        recovered(np.ones(2), np.ones(2), np.array([1.0, np.nan]))


def test_an_interval_needs_five_prompts_and_holds_the_truth_as_often_as_it_says() -> None:
    assert np.isnan(recovery(np.ones(4) / 2, np.zeros(4), np.ones(4)).low)
    rng, hits = np.random.default_rng(0), 0
    for seed in range(200):
        values = rng.normal(0.6, 0.3, 40)
        found = recovery(values, np.zeros(40), np.ones(40), seed, draws=200)
        hits += found.low <= 0.6 <= found.high
    assert 180 <= hits <= 199  # 95 % of 200, and what 40 prompts leave to chance


def test_prompts_of_different_lengths_are_refused_with_their_lengths() -> None:
    with pytest.raises(ShapeError, match=r"clean prompts have \[2, 3\] tokens.*one length"):
        aligned_pair([[1, 2], [1, 2, 3]], [[1, 2], [1, 2]], "x")
    with pytest.raises(ShapeError, match=r"\(1, 2\), corrupted ones \(1, 3\)"):
        aligned_pair([[1, 2]], [[1, 2, 3]], "x")
    with pytest.raises(ShapeError, match="one prompt"):
        aligned_pair(np.arange(3), np.arange(3), "x")
