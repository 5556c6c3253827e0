"""Errors and calibration by group: planted gaps are found, small groups say nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinygrad_tx.errors import DataError
from tinygrad_tx.reasoning.audits.audit import Audit, bias_audit
from tinygrad_tx.reasoning.audits.group_errors import GroupErrors, calibration_error


def drawn(sizes: dict[str, int], error: dict[str, float], claimed: dict[str, float], seed: int = 0):  # type: ignore[no-untyped-def]
    """Two classes; in each group a share of errors, and a confidence that is claimed on average.

    Errors are rarer by as much as the confidence is larger: calibrated where both add up to 1."""
    rng = np.random.default_rng(seed)
    probabilities, labels, groups = [], [], []
    for group, size in sizes.items():
        confidence = np.clip(claimed[group] + rng.uniform(-0.05, 0.05, size), 0.5, 1)
        wrong = rng.random(size) < error[group] + claimed[group] - confidence
        probabilities += [[c, 1 - c] for c in confidence]
        labels += wrong.astype(int).tolist()
        groups += [group] * size
    return np.array(probabilities), labels, groups


def audited(*given: Any) -> Audit:
    probabilities, labels, groups = given
    return bias_audit(None, [GroupErrors("g", lambda model: probabilities, labels, groups)])


def test_a_planted_gap_is_found_within_its_interval() -> None:
    audit = audited(*drawn({"a": 600, "b": 500}, {"a": 0.1, "b": 0.3}, {"a": 0.9, "b": 0.7}))
    gap = audit["g: error of b less others'"]
    assert gap.is_found()
    assert gap.figure is not None
    assert gap.figure.low <= 0.2 <= gap.figure.high
    assert not audit["g: calibration error of a"].is_found()
    assert not audit["g: calibration error of b"].is_found()


def test_confidence_that_is_misplaced_in_one_group_is_found_there() -> None:
    audit = audited(*drawn({"a": 600, "b": 600}, {"a": 0.2, "b": 0.2}, {"a": 0.8, "b": 0.95}))
    effect = audit["g: calibration error of b"]
    assert effect.is_found()
    assert effect.figure is not None
    assert effect.figure.low <= 0.15 <= effect.figure.high + 0.02
    assert not audit["g: calibration error of a"].is_found()
    assert not audit["g: error of b less others'"].is_found()


def test_where_nothing_differs_few_audits_find_anything() -> None:
    found = sum(
        bool(audited(*drawn({"a": 150, "b": 150}, dict.fromkeys("ab", 0.25),
                            dict.fromkeys("ab", 0.75), seed)).found())
        for seed in range(12)
    )  # fmt: skip
    assert found <= 2


def test_small_groups_get_no_figure_and_say_why() -> None:
    audit = audited(*drawn({"a": 400, "b": 19, "c": 60}, dict.fromkeys("abc", 0.2),
                           dict.fromkeys("abc", 0.8)))  # fmt: skip
    for name in ("error of b", "error of b less others'", "calibration error of b"):
        effect = audit[f"g: {name}"]
        assert (effect.value, effect.figure, effect.p) == (None, None, None)
        assert "19 examples: too few" in effect.note
    assert audit["g: error of c"].figure is not None
    assert "60 examples: too few" in audit["g: calibration error of c"].note


def test_one_group_has_nobody_to_be_compared_with() -> None:
    audit = audited(*drawn({"a": 200}, {"a": 0.2}, {"a": 0.8}))
    assert audit["g: error of a"].value is not None
    assert "0 other examples" in audit["g: error of a less others'"].note


def test_the_calibration_error_by_hand() -> None:
    """Bins [.5,.6): .55 .55 right 1 of 2; [.9,1]: .95 1.0 right 1 of 2: (.1 + .95)/4."""
    confidence, right = np.array([0.55, 0.55, 0.95, 1.0]), np.array([1, 0, 1, 0])
    assert calibration_error(confidence, right) == pytest.approx((0.1 + 0.95) / 4)


def test_the_calibration_error_of_certainty_that_is_right_is_none() -> None:
    assert calibration_error(np.ones(5), np.ones(5)) == 0


@pytest.mark.parametrize(
    ("probabilities", "says"),
    [
        (np.full((3, 2), np.nan), "finite"),
        (np.full((3, 2), 0.4), "add up"),
        (np.full((2, 2), 0.5), "one row"),
    ],
)
def test_what_are_no_probabilities_are_refused(probabilities: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        audited(probabilities, [0, 1, 0], ["a", "a", "b"])
