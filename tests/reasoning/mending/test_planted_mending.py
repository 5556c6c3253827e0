"""On a model with a planted skew each control does what is known of it, and costs what it must."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinygrad_tx.data import skewed_text
from tinygrad_tx.errors import DataError
from tinygrad_tx.models import Sampling, write_batch
from tinygrad_tx.reasoning import mend
from tinygrad_tx.reasoning.audits.planted import QUICK, Training, trained_on
from tinygrad_tx.reasoning.mending.edit import fingerprint
from tinygrad_tx.reasoning.mending.mending import Mending
from tinygrad_tx.reasoning.mending.planted_mending import (
    KEPT,
    MENDED,
    PlantedControls,
    planted_mending,
    planted_side_effects,
    unseen_checks,
)

QUICKLY = (
    "steering",
    "erasure (LEACE), embeddings",
    "erasure (LEACE), occupations' rows",
    "balanced decoding",
    "balanced decoding, but after names",
)
TEXT = skewed_text(sentences=20_000)


@pytest.fixture(scope="module")
def model() -> Any:
    return trained_on(TEXT, QUICK)


def mended(model: Any, names: Any) -> Mending:
    every = PlantedControls(TEXT).all()
    controls = {name: every[name] for name in names or every}
    effects = planted_side_effects(TEXT)
    return mend(model, unseen_checks(TEXT), controls, effects, mended=MENDED, kept=KEPT)


@pytest.fixture(scope="module")
def quick(model: Any) -> Mending:
    bits = fingerprint(model)
    found = mended(model, QUICKLY)
    assert fingerprint(model) == bits
    return found


def test_the_model_has_the_skew_that_was_planted(quick: Mending) -> None:
    planted = np.mean([abs(TEXT.skew.pronoun_log_odds(o)) for o in TEXT.skew.pronouns])
    assert quick.before.skew == pytest.approx(planted, abs=0.15)
    assert quick.before.costs["capitals"].before == 1
    assert quick.before.costs["pronouns of names"].before == 1


def test_erasure_in_the_words_own_rows_mends_and_keeps_names(quick: Mending) -> None:
    trial = quick["erasure (LEACE), occupations' rows"]
    assert trial.skew < 0.3 * quick.before.skew
    assert trial.kept < 0.01
    assert trial.costs["pronouns of names"].after == 1
    assert trial.changed <= len(TEXT.skew.pronouns) * QUICK.width


def test_the_same_direction_taken_out_of_all_words_breaks_names(quick: Mending) -> None:
    trial = quick["erasure (LEACE), embeddings"]
    assert trial.skew < 0.3 * quick.before.skew
    assert "pronouns of names" in trial.harms
    assert trial.kept > 1


def test_one_direction_cannot_undo_a_skew_of_two_signs(quick: Mending) -> None:
    assert quick["steering"].skew > 0.7 * quick.before.skew


def test_balanced_decoding_is_even_and_blind_to_who_it_is(quick: Mending) -> None:
    blind, seeing = (quick[f"balanced decoding{end}"] for end in ("", ", but after names"))
    assert blind.skew < 1e-4
    assert seeing.skew < 1e-4
    assert blind.costs["pronouns of names"].after == pytest.approx(0.5, abs=0.1)
    assert seeing.costs["pronouns of names"].after == 1
    assert seeing.kept < 1e-4


def test_the_loss_of_the_text_that_taught_the_skew_rises_and_is_no_harm(quick: Mending) -> None:
    trial = quick["balanced decoding, but after names"]
    assert trial.costs["loss of skewed text"].change > 0
    assert trial.harms == ()


def test_what_is_written_is_as_even_as_the_audit_says(model: Any) -> None:
    controls = PlantedControls(TEXT)
    rule = controls.balanced_but_after_names(model).rule
    he, _ = controls.words
    prompts = [[int(t) for t in TEXT.units.encode("the engineer said that")]] * 400
    drawn = write_batch(model, prompts, 1, Sampling(), seed=0, constraint=rule)
    share = np.mean([t == [he] for t in drawn])
    free = np.mean([t == [he] for t in write_batch(model, prompts, 1, Sampling(), seed=0)])
    assert share == pytest.approx(0.5, abs=0.1)
    assert free > 0.8


@pytest.mark.slow
def test_all_controls_stand_in_one_table_and_leave_the_model_as_it_was(model: Any) -> None:
    bits = fingerprint(model)
    found = mended(model, None)
    assert fingerprint(model) == bits
    assert found["counterfactual fine-tuning"].skew < 0.4 * found.before.skew
    assert found["counterfactual fine-tuning"].costs["pronouns of names"].after == 1
    assert found["rank-one edits"].skew < 0.6 * found.before.skew
    assert found["rank-one edits"].costs["capitals"].after == 1
    assert "capitals" in found["ablation of heads"].harms
    assert len(found.table().rows) == 1 + len(PlantedControls(TEXT).all())


def test_a_control_that_is_unknown_is_refused_before_anything_is_trained() -> None:
    with pytest.raises(DataError, match="balanced decoding"):
        planted_mending(sentences=100, only=["prayer"])


def test_the_whole_runs_in_one_call() -> None:
    seen = []
    found = planted_mending(
        Training(1, 2, 16, steps=2, batch=8), sentences=600, only=["balanced decoding"],
        on_progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert [t.name for t in found.trials] == ["balanced decoding"]
    assert found["balanced decoding"].skew < 1e-4
    assert seen == [(1, 1)]
