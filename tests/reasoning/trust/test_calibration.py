"""Calibration and abstention are the sums of their definitions, and see what was planted."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_tx as tx
from tinygrad_tx import reasoning
from tinygrad_tx.errors import DataError, IndexRangeError, NonFiniteError, ShapeError

RNG = np.random.default_rng(0)


def answers(examples: int, classes: int = 4, sharper: float = 1.0) -> tuple[Any, Any]:
    """Labels drawn from softmax(logits), and logits that are `sharper` than those."""
    logits = RNG.normal(size=(examples, classes)) * 2
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    labels = (p.cumsum(-1) < RNG.random((examples, 1))).sum(-1)
    return logits * sharper, labels


def test_figures_are_the_sums_of_their_definitions() -> None:
    logits, labels = answers(101)
    found = reasoning.calibration(logits, labels, bins=7)
    p = [np.exp(row) / np.exp(row).sum() for row in logits]
    sure = sorted((float(max(q)), float(q.argmax() == y)) for q, y in zip(p, labels, strict=True))
    parts = np.array_split(np.arange(101), 7)
    error = root = 0.0
    for part, (confidence, right, size) in zip(parts, found.bins, strict=True):
        mean = [sum(sure[i][k] for i in part) / len(part) for k in (0, 1)]
        assert (confidence, right, size) == pytest.approx((*mean, len(part)))
        error += len(part) / 101 * abs(mean[0] - mean[1])
        variance = mean[1] * (1 - mean[1]) / (len(part) - 1)
        root += len(part) / 101 * ((mean[0] - mean[1]) ** 2 - variance)
    assert found.error.value == pytest.approx(error)
    assert found.root == pytest.approx(max(0, root) ** 0.5)
    one_hot = np.eye(4)[labels]
    assert found.brier.value == pytest.approx(((np.array(p) - one_hot) ** 2).sum(-1).mean())
    loss = -np.mean([np.log(q[y]) for q, y in zip(p, labels, strict=True)])
    assert found.loss.value == pytest.approx(loss)
    assert found.error.low <= found.error.value <= found.error.high + 0.05


def test_a_calibrated_model_is_found_so_and_an_overconfident_one_is_not() -> None:
    good = reasoning.calibration(*answers(4000))
    assert good.is_calibrated
    assert good.root < 0.03
    bad = reasoning.calibration(*answers(4000, sharper=4.0))
    assert not bad.is_calibrated
    assert bad.error.low > bad.by_chance
    assert bad.root > 0.1
    assert "calibration error" in str(bad.table())
    assert bad.picture().get_axes()


def test_the_plain_error_is_biased_and_the_unbiased_one_is_not() -> None:
    """For a perfect model the squared error of bins averages to 0 once its noise is taken away."""
    squares, plain = [], []
    for _ in range(50):
        found = reasoning.calibration(np.zeros((60, 2)), RNG.integers(0, 2, 60), bins=6)
        plain.append(found.error.value)
        squares.append(
            sum(n / 60 * ((c - r) ** 2 - r * (1 - r) / (n - 1)) for c, r, n in found.bins)
        )
    assert np.mean(plain) > 0.05
    assert abs(np.mean(squares)) < 4 * np.std(squares) / 50**0.5


def test_the_temperature_is_the_one_that_was_planted() -> None:
    logits, labels = answers(5000, sharper=3.0)
    found = reasoning.temperature_scaling(logits, labels)
    assert found.value == pytest.approx(3.0, rel=0.08)
    # A fine grid finds no better one.
    grid = np.linspace(2, 4, 81)
    losses = [
        float((np.logaddexp.reduce(logits / t, -1) - (logits / t)[np.arange(5000), labels]).mean())
        for t in grid
    ]
    assert found.after <= min(losses) + 1e-12
    assert found.value == pytest.approx(grid[int(np.argmin(losses))], abs=0.026)
    assert found.after < found.before


def test_scaling_mends_held_out_answers_and_changes_none() -> None:
    parts = [reasoning.Answers(*answers(3000, sharper=3.0), np.arange(3000)) for _ in range(2)]
    found = reasoning.calibrate(*parts)
    assert found.after.is_calibrated
    assert not found.before.is_calibrated
    assert found.after.accuracy == found.before.accuracy
    assert found.after.brier.value < found.before.brier.value
    assert [r[0] for r in found.table().rows] == [r[0] for r in found.before.rows()]
    assert found.picture().get_axes()


def test_a_temperature_without_a_minimum_says_so() -> None:
    """Answers that are always right want to be surer and surer."""
    found = reasoning.temperature_scaling(np.array([[1.0, 0], [0, 1.0]]), np.array([0, 1]))
    assert found.at_bound


def test_probabilities_and_logits_of_two_classes_are_taken() -> None:
    logits, labels = answers(50, 2)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    both = reasoning.calibration(logits, labels)
    given = reasoning.calibration(p, labels, probabilities=True)
    single = reasoning.calibration(logits[:, 1] - logits[:, 0], labels)
    assert both.error.value == pytest.approx(given.error.value)
    assert both.loss.value == pytest.approx(single.loss.value)


@pytest.mark.parametrize(
    ("logits", "labels", "error", "words"),
    [
        (np.zeros((3, 2)), np.zeros(4, int), ShapeError, ("(3, 2)", "(4,)")),
        (np.zeros((0, 2)), np.zeros(0, int), DataError, ("no examples",)),
        (np.full((3, 2), np.nan), np.zeros(3, int), NonFiniteError, ("6 logits",)),
        (np.zeros((3, 2)), np.array([0, 1, 2]), IndexRangeError, ("[2]", "classes of 2")),
    ],
)
def test_bad_input_says_so(logits: Any, labels: Any, error: Any, words: Any) -> None:
    with pytest.raises(error) as caught:
        reasoning.calibration(logits, labels)
    assert all(word in str(caught.value) for word in words)


def test_probabilities_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(DataError, match="add up"):
        reasoning.calibration(np.ones((3, 2)), np.zeros(3, int), probabilities=True)


def test_next_tokens_are_the_models_own_and_texts_are_groups() -> None:
    model = tx.models.GPT(tx.models.GPTConfig(11, 8, 1, 2, 8)).eval()
    tokens, targets = RNG.integers(0, 11, (5, 6)), RNG.integers(0, 11, (5, 6))
    targets[0, :2] = -100
    found = reasoning.next_tokens(model, tokens, targets, batch=2)
    kept = targets != -100
    np.testing.assert_allclose(found.logits, model(tokens).numpy()[kept], atol=1e-6)
    np.testing.assert_array_equal(found.labels, targets[kept])
    assert np.bincount(found.groups).tolist() == [4, 6, 6, 6, 6]
    loss = reasoning.calibration(found.logits, found.labels, groups=found.groups).loss.value
    assert loss == pytest.approx(float(model.loss(tokens, targets)), abs=1e-5)
    with pytest.raises(DataError, match="memory"):
        reasoning.next_tokens(model, tokens, targets, memory=100)
    with pytest.raises(ShapeError, match="targets"):
        reasoning.next_tokens(model, tokens, targets[:, 1:])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=5))
def test_risk_is_the_mean_over_all_orders_of_equals(examples: list[tuple[int, bool]]) -> None:
    """Exact enumeration of the orders in which equally sure answers may be left out."""
    confidence = np.array([c for c, _ in examples], float)
    right = np.array([r for _, r in examples])
    found = reasoning.selective(confidence, right)
    curves = []
    for order in itertools.permutations(range(len(examples))):
        falling = confidence[list(order)]
        if (np.diff(falling) <= 0).all():
            curves.append(np.cumsum(~right[list(order)]) / np.arange(1, len(examples) + 1))
    np.testing.assert_allclose(found.risk, np.mean(curves, 0), atol=1e-12)
    assert found.area.value == pytest.approx(np.mean(curves))


def test_confidence_that_knows_errors_has_no_excess_and_random_confidence_has_the_error() -> None:
    right = RNG.random(2000) < 0.8
    knows = reasoning.selective(right + 0.0, right)
    assert knows.excess.value == 0
    assert knows.coverage_at(0.0) == pytest.approx(right.mean())
    random = reasoning.selective(RNG.random(2000), right)
    assert random.area.low <= random.error <= random.area.high
    assert "random order" in str(random.table())
    assert random.picture().get_axes()


@pytest.mark.parametrize(
    ("confidence", "right", "error"),
    [([0.1], [1, 0], ShapeError), ([], [], DataError), ([np.nan], [1], NonFiniteError)],
)
def test_abstention_refuses_bad_input(confidence: Any, right: Any, error: Any) -> None:
    with pytest.raises(error):
        reasoning.selective(confidence, right)
