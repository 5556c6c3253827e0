"""The parts of tasks: figures with intervals, tables, baselines by counting, batches of models."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

import tinygrad_tx as tx
from tinygrad_tx.errors import CheckpointError
from tinygrad_tx.tasks import Figure, Outcome, Row, bootstrap, read_outcome, results, write_outcome
from tinygrad_tx.tasks.counting import Neighbours
from tinygrad_tx.tasks.mean_classifier import MeanClassifier
from tinygrad_tx.tasks.naive_bayes import NaiveBayes, features
from tinygrad_tx.tasks.picture import bars, curves, panels, write_picture
from tinygrad_tx.tasks.predict import predict
from tinygrad_tx.tasks.shortcuts import length_features, logistic_regression, overlap_features
from tinygrad_tx.tasks.tag_baselines import CommonestTag, HiddenMarkov
from tinygrad_tx.tasks.task import over_runs
from tinygrad_tx.train import RunFolder


def test_intervals_are_those_of_the_normal_approximation() -> None:
    values = np.random.default_rng(0).random(2000) < 0.7
    figure = bootstrap(values)
    half = 1.96 * values.std() / math.sqrt(len(values))
    assert figure.value == values.mean()
    assert figure.low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert figure.high == pytest.approx(values.mean() + half, abs=0.15 * half)


def test_values_of_one_group_count_as_one() -> None:
    single = np.random.default_rng(0).random(100) < 0.5
    copies, groups = np.repeat(single, 9), np.repeat(np.arange(100), 9)
    alone, together = bootstrap(single), bootstrap(copies, groups)
    assert (together.low, together.high) == pytest.approx((alone.low, alone.high))
    assert bootstrap(copies).high - bootstrap(copies).low < 0.5 * (alone.high - alone.low)


def test_intervals_over_runs_hold_the_spread_of_runs() -> None:
    runs = [np.full(500, v) for v in (0.6, 0.7, 0.8)]
    figure = over_runs(runs)
    assert figure.value == pytest.approx(0.7)
    assert figure.low < 0.65
    assert figure.high > 0.75


OUTCOME = Outcome(
    "name", "what", "data", "a | b", "accuracy", "counting", Figure(0.5, 0.4, 0.6),
    Figure(0.75, 0.7, 0.8), 12_345, 90.0,
    rows=(Row("ours", Figure(0.75, 0.7, 0.8), 12_345, 60.0, (("labels", "100"),)),),
    notes=("a note",),
)  # fmt: skip


def test_outcomes_go_through_a_file_and_into_tables(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    write_outcome(run, OUTCOME)
    assert read_outcome(tmp_path / "outcome.json") == OUTCOME
    summary = run.summary.read_text()
    for part in ("75.0 % (70.0 % to 80.0 %)", "counting", "| labels |", "12,345", "a note"):
        assert part in summary
    table = results([OUTCOME])
    assert "counting: 50.0 % (40.0 % to 60.0 %)" in table
    assert "1.5" in table
    assert {line.replace("\\|", "").count("|") for line in table.splitlines()} == {8}


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"rows": [], "baseline": 3}'])
def test_damaged_outcomes_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "outcome.json"
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_outcome(path)
    path.write_text(text)
    with pytest.raises(CheckpointError, match="no outcome"):
        read_outcome(path)


def test_naive_bayes_is_its_formula() -> None:
    texts, labels = ["aab", "ab", "bb"], [0, 0, 1]
    model = NaiveBayes(texts, labels)
    seen = [
        [f for t, y in zip(texts, labels, strict=True) if y == c for f in features(t)]
        for c in (0, 1)
    ]
    known = {f for part in seen for f in part}
    for c, prior in ((0, 3 / 5), (1, 2 / 5)):  # one more of each class than was seen
        expected = math.log(prior)
        for f in ("a", "b", "ab"):  # of "abz": z and its pairs are unknown
            expected += math.log((seen[c].count(f) + 1) / (len(seen[c]) + len(known)))
        assert model.scores("abz")[c] == pytest.approx(expected)
    assert model.predict(["aa", "bbbb"]).tolist() == [0, 1]


def test_neighbours_give_the_chain_rule_of_a_markov_chain() -> None:
    """On a long sample of a known chain the guess is Bayes' rule with the true probabilities."""
    rng = np.random.default_rng(0)
    moves = rng.dirichlet(np.ones(4), 4)  # words 5 to 8
    chain = [0]
    for _ in range(60_000):
        chain.append(int(rng.choice(4, p=moves[chain[-1]])))
    tokens = np.array(chain)[None] + 5
    counts = Neighbours(tokens, 9)
    for left, right in itertools.product(range(4), repeat=2):
        expected = moves[left] * moves[:, right]
        found = np.exp(counts.log_scores(np.array([left + 5]), np.array([right + 5]), 1e-4))[0, 5:]
        np.testing.assert_allclose(found, expected / expected.sum(), atol=0.02)


@given(st.integers(0, 9), st.integers(0, 9), st.floats(1e-3, 1))
def test_scores_by_neighbours_are_probabilities(left: int, right: int, strength: float) -> None:
    tokens = np.random.default_rng(0).integers(5, 10, (3, 20))
    scores = Neighbours(tokens, 10).log_scores(np.array([left]), np.array([right]), strength)
    assert np.exp(scores).sum() == pytest.approx(1.0)


def test_logistic_regression_finds_the_minimum_of_its_loss() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 2))
    labels = (rng.random(4000) < 1 / (1 + np.exp(-(3 * x[:, 0] - x[:, 1])))).astype(int)
    said = logistic_regression(x, labels, x)
    best = (3 * x[:, 0] - x[:, 1] > 0).astype(int)
    assert (said == best).mean() > 0.97
    noise = logistic_regression(rng.normal(size=(4000, 2)), labels, rng.normal(size=(4000, 2)))
    assert abs((noise == labels).mean() - 0.5) < 0.05


def test_shortcut_features_see_lengths_and_common_words_alone() -> None:
    first, second = np.array([[7, 8, 9, 0]]), np.array([[8, 9, 0, 0]])
    assert length_features(first, second)[0, [0, 1, 4, 5]].tolist() == [3, 2, 1, 6]
    np.testing.assert_allclose(overlap_features(first, second)[0], [2, 2 / 3, 1, 2 / 3])
    shuffled = length_features(first[:, ::-1] + 0, second)
    np.testing.assert_array_equal(shuffled, length_features(first, second))


SENTENCES = [
    [("the", "d"), ("dog", "n"), ("runs", "v")],
    [("the", "d"), ("run", "n"), ("ends", "v")],
    [("dogs", "n"), ("run", "v")],
    [("dogs", "n"), ("run", "v")],
]


def test_the_commonest_tag_ignores_neighbours_and_guesses_for_unknown_words() -> None:
    tagger = CommonestTag(SENTENCES)
    assert tagger.tag(["the", "run", "zebra"]) == ["d", "v", "n"]


def test_the_markov_model_finds_the_likeliest_path() -> None:
    """Viterbi against all paths, one by one."""
    model = HiddenMarkov(SENTENCES)
    assert model.tag(["the", "run", "ends"]) == ["d", "n", "v"]
    assert model.tag([]) == []
    rng = np.random.default_rng(0)
    known = ["dogs", "the", "run", "runs", "bugs", "dog", "ends"]

    def score(path: tuple[int, ...]) -> float:
        total, before = 0.0, -1
        for word, now in zip(words, path, strict=True):
            emission = model._emitted.get(word)
            if emission is None:
                emission = model._endings.get(word[-1], model._unknown)
            total += model._moves[before, now] + emission[now]
            before = now
        return total

    for _ in range(100):
        words = rng.choice(known, 4).tolist()
        best = max(score(path) for path in itertools.product(range(3), repeat=4))
        found = tuple(model.tags.index(tag) for tag in model.tag(words))
        assert score(found) == pytest.approx(best)


def test_the_mean_classifier_does_not_see_the_padding() -> None:
    model = MeanClassifier(tx.models.BERTConfig(20, 6, 1, 2, 32, dropout=0.0), 3, seed=1)
    tokens = np.random.default_rng(0).integers(5, 20, (2, 6))
    mask = np.arange(6) < np.array([[4], [6]])
    other = np.where(mask, tokens, 7)
    found = model(tokens, None, mask).numpy()
    np.testing.assert_allclose(model(other, None, mask).numpy(), found, atol=1e-6)
    np.testing.assert_allclose(model(tokens[:1, :4]).numpy(), found[:1], atol=1e-6)


def test_predictions_are_those_of_one_row_at_a_time() -> None:
    model = tx.models.BERTClassifier(tx.models.BERTConfig(20, 6, 1, 2, 32, dropout=0.5), 3)
    rows = np.random.default_rng(0).integers(5, 20, (7, 6))
    found = predict(model, lambda tokens: model(tokens), (rows,), batch=3)
    expected = np.concatenate([model.eval()(row[None]).numpy() for row in rows])
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_labels_with_dollar_signs_are_no_formulas(tmp_path: Path) -> None:
    picture, (axes, other) = panels(2)
    bars(axes, ["$5", "a$^2$"], [0.5, 1.0])
    curves(other, {"from $3 to $4": {1: 1.0, 1000: 2.0}})
    other.set_xscale("log")
    write_picture(RunFolder(tmp_path), picture)
    svg = (tmp_path / "figure.svg").read_text()
    assert all(text in svg for text in ("$5", "a$^2$", "from $3 to $4"))
    assert ">$" not in svg.replace(">$5<", "")  # the powers of ten are formulas still
    assert (tmp_path / "figure.png").stat().st_size > 0
