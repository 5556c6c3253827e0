"""Errors and calibration of a classifier by groups of examples, with what small groups cannot say.

ECE = sum_b n_b / n |accuracy_b - mean confidence_b|,   b: bins of the largest probability
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.reasoning.audits.audit import Effect
from tinygrad_tx.reasoning.audits.statistics import difference_of_shares, fisher, wilson
from tinygrad_tx.tasks.task import Figure

__all__ = ["GroupErrors", "calibration_error"]

Array = np.ndarray[Any, Any]
LEAST = 20
"""Examples of a group for its error; ECE needs BINS of them in each bin."""
LEAST_CALIBRATION = 100


@dataclass(frozen=True)
class GroupErrors:
    """A check: are some groups of labelled examples answered worse, or with misplaced confidence?

    predict: from a model to P of each class for each example (examples, classes). labels: the true
    classes. groups: the group of each example. For each group three effects: its error rate
    (Wilson's interval), its difference from all other examples (Newcombe's interval, Fisher's
    exact test), and its expected calibration error: null is the mean ECE of as many examples with
    perfect calibration, which is not 0, and p how often those have as much (Vaicenavicius et al.
    2019). Groups below 20 examples get no figure, below 100 no ECE. A difference may come of the
    examples themselves (harder, mislabelled), not of the model.
    Source: Guo et al. 2017 (ECE); Newcombe 1998; Buolamwini and Gebru 2018 (why by groups).
    """

    label: str
    predict: Callable[[Any], Array]
    labels: Sequence[int] | Array
    groups: Sequence[str]
    bins: int = 10
    seed: int = 0
    draws: int = 1000

    def __call__(self, model: Any) -> list[Effect]:
        """Effects of all groups, in the order of their names. Errors: DataError."""
        labels, groups = np.asarray(self.labels), np.asarray(self.groups)
        probabilities = np.asarray(self.predict(model), np.float64)
        _check(self.label, probabilities, labels, groups)
        confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
        found = []
        for group in sorted(set(groups.tolist())):
            inside = groups == group
            found += self._errors(group, ~right[inside], ~right[~inside])
            found.append(self._calibration(group, confidence[inside], right[inside]))
        return found

    def _errors(self, group: str, wrong: Array, others: Array) -> list[Effect]:
        names = f"{self.label}: error of {group}", f"{self.label}: error of {group} less others'"
        count, rest = len(wrong), len(others)
        if count < LEAST:
            note = f"{count} examples: too few (at least {LEAST})"
            return [Effect(n, None, unit="share", count=count, note=note) for n in names]
        rate = wilson(int(wrong.sum()), count)
        found = [Effect(names[0], rate.value, rate, None, count, "share")]
        if rest < LEAST:
            note = f"{rest} other examples: too few (at least {LEAST})"
            return [*found, Effect(names[1], None, unit="share", count=count, note=note)]
        gap = difference_of_shares(int(wrong.sum()), count, int(others.sum()), rest)
        p = fisher(int(wrong.sum()), count, int(others.sum()), rest)
        return [*found, Effect(names[1], gap.value, gap, p, count, "share")]

    def _calibration(self, group: str, confidence: Array, right: Array) -> Effect:
        name, count = f"{self.label}: calibration error of {group}", len(right)
        if count < LEAST_CALIBRATION:
            note = f"{count} examples: too few (at least {LEAST_CALIBRATION})"
            return Effect(name, None, unit="share", count=count, note=note)
        rng = np.random.default_rng(self.seed)
        value = calibration_error(confidence, right, self.bins)
        again, perfect = [], []
        for _ in range(self.draws):
            some = rng.integers(0, count, count)
            again.append(calibration_error(confidence[some], right[some], self.bins))
            drawn = rng.random(count) < confidence
            perfect.append(calibration_error(confidence, drawn, self.bins))
        low, high = np.quantile(again, [0.025, 0.975])
        p = (1 + sum(e >= value for e in perfect)) / (1 + self.draws)
        null = float(np.mean(perfect))
        figure = Figure(value, float(min(low, value)), float(max(high, value)))
        note = f"{null:.3f} with perfect calibration"
        return Effect(name, value, figure, p, count, "share", null, note=note)


def calibration_error(confidence: Array, right: Array, bins: int = 10) -> float:
    """ECE of confidences (examples,) in `bins` equal parts of 0 to 1. Guo et al. 2017, eq. 3."""
    place = np.minimum((np.asarray(confidence) * bins).astype(int), bins - 1)
    gaps = np.bincount(place, np.asarray(right, np.float64) - confidence, bins)
    return float(np.abs(gaps).sum() / len(place))


def _check(label: str, probabilities: Array, labels: Array, groups: Array) -> None:
    count = len(labels)
    if probabilities.ndim != 2 or len(probabilities) != count or len(groups) != count or not count:
        what = f"probabilities {probabilities.shape}, {count} labels, {len(groups)} groups"
        raise DataError(explain(label, what, remedy="give one row, label and group an example"))
    bad = ~(np.isfinite(probabilities).all(1) & (np.abs(probabilities.sum(1) - 1) < 1e-3))
    if bad.any():
        what = f"the probabilities of {int(bad.sum())} examples, first {int(bad.argmax())}, "
        what += f"are {probabilities[bad.argmax()].tolist()}"
        raise DataError(explain(label, what, remedy="they have to be finite and add up to 1"))
