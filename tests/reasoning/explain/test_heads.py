"""Scores of heads: a planted previous-token and induction head are found, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.reasoning.explain.planted_induction import VOCAB as PLANTED_VOCAB, planted
from tests.reasoning.explain.small_models import VOCAB, bert, gpt
from tinygrad_tx import reasoning
from tinygrad_tx.errors import DataError, PointError
from tinygrad_tx.reasoning.explain.heads import repeated_tokens


@pytest.fixture(scope="module")
def found() -> reasoning.HeadScores:
    return reasoning.induction_scores(planted(), PLANTED_VOCAB, length=8, sequences=12)


def test_the_planted_model_goes_on_with_what_followed_last_time() -> None:
    tokens = repeated_tokens(PLANTED_VOCAB, 8, 5)
    said = planted()(tokens).numpy().argmax(-1)
    np.testing.assert_array_equal(said[:, 8:-1], tokens[:, 9:])


def test_the_planted_heads_score_one_and_are_the_best(found: reasoning.HeadScores) -> None:
    assert found.best("previous token") == (0, 0)
    assert found.best("induction") == (1, 0)
    assert found.scores["previous token"][:, 0, 0].min() > 0.99
    assert found.scores["induction"][:, 1, 0].min() > 0.99


def test_heads_that_look_evenly_score_chance(found: reasoning.HeadScores) -> None:
    for kind, chance in found.chance.items():
        for layer in (0, 1):
            np.testing.assert_allclose(found.scores[kind][:, layer, 1], chance, atol=1e-6)


def test_scores_are_means_of_the_captured_pattern() -> None:
    model = gpt()
    found = reasoning.induction_scores(model, VOCAB, length=5, sequences=6, rows=4)
    tokens = repeated_tokens(VOCAB, 5, 6)
    pattern = reasoning.capture(model, tokens, "blocks.1.attention.pattern").numpy()
    weights = pattern["blocks.1.attention.pattern"].astype(np.float64)
    truth = {
        "previous token": [weights[:, :, i, i - 1] for i in range(1, 10)],
        "duplicate token": [weights[:, :, i, i - 5] for i in range(5, 10)],
        "induction": [weights[:, :, i, i - 4] for i in range(5, 10)],
    }
    for kind, values in truth.items():
        assert found.scores[kind].shape == (6, 2, 2)
        np.testing.assert_allclose(found.scores[kind][:, 1], np.mean(values, 0), atol=1e-6)


def test_a_first_token_shifts_everything_by_one() -> None:
    tokens = repeated_tokens(10, 4, 3, first=9)
    assert tokens.shape == (3, 9)
    assert (tokens[:, 0] == 9).all()
    assert (tokens[:, 1:] != 9).all()
    np.testing.assert_array_equal(tokens[:, 1:5], tokens[:, 5:])
    found = reasoning.induction_scores(planted(), PLANTED_VOCAB, length=7, first=0, sequences=4)
    assert found.best("induction") == (1, 0)
    assert found.scores["induction"][:, 1, 0].min() > 0.99


def test_chance_of_a_model_that_sees_both_ways_is_one_in_all() -> None:
    found = reasoning.induction_scores(bert(), VOCAB, length=4, sequences=3)
    assert found.chance["induction"] == pytest.approx(1 / 8)


def test_the_table_has_intervals_only_where_there_are_two_sequences(
    found: reasoning.HeadScores,
) -> None:
    row = found.table().rows[0]
    assert row[:2] == (1, 0)
    assert row[3] <= row[2] <= row[4]
    one = reasoning.induction_scores(planted(), PLANTED_VOCAB, length=8, sequences=1)
    assert one.table().rows[0][3:5] == (None, None)
    with pytest.raises(DataError, match="one sequence gives no interval"):
        one.figure("induction", 0, 0)


def test_the_picture_shows_every_head(found: reasoning.HeadScores) -> None:
    svg = reasoning.picture_bytes(found.picture()).decode()
    assert "head 1" in svg
    assert "layer 1" in svg
    assert "1.00" in svg


@pytest.mark.parametrize(
    "given",
    [{"vocab": 1}, {"vocab": [3]}, {"vocab": 9, "length": 1}, {"vocab": 9, "sequences": 0}],
)
def test_too_little_to_repeat_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="at least two tokens"):
        reasoning.induction_scores(gpt(), **given)


def test_a_model_that_does_not_attend_is_refused() -> None:
    model = gpt()
    with pytest.raises(PointError, match="does not attend"):
        reasoning.induction_scores(lambda tokens: model.embedding(tokens), VOCAB, length=4)


def test_nan_is_located() -> None:
    model = gpt()
    weight = model.blocks[1].attention.qkv.weight
    weight.assign_(np.full(weight.shape, np.nan, np.float32))
    with pytest.raises(ArithmeticError, match="not finite"):
        reasoning.induction_scores(model, VOCAB, length=4, sequences=2)
