"""Audits: figures of a model with intervals and corrected tests, before and after a change.

An audit is made of checks. A check is a function of a model that gives effects; `bias_audit` runs
them all and corrects for their number. Run again on a model that was changed, the same checks give
effects of the same names, which `compare_audits` puts side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.reasoning.audits.statistics import benjamini_hochberg, holm, mean_of_clusters
from tinygrad_tx.table import Table, shown_as_table
from tinygrad_tx.tasks.task import Figure

__all__ = ["Audit", "Check", "Effect", "bias_audit", "compare_audits", "over_models"]

CORRECTIONS = {"holm": holm, "benjamini-hochberg": benjamini_hochberg}


@dataclass(frozen=True)
class Effect:
    """One figure of an audit. name: unique in it, as "pronoun: nurse".

    value: in `unit`, against `null`, the value that says "no difference"; None where a group is too
    small to say anything. figure: with the 95 % interval; None where that is not possible. p: raw,
    two-sided; adjusted: corrected for all tests of the audit. count: on how many measurements it
    rests. spread: smallest and largest over templates, or whatever the check varied. note: limits.
    """

    name: str
    value: float | None
    figure: Figure | None = None
    p: float | None = None
    count: int = 0
    unit: str = "nats"
    null: float = 0.0
    adjusted: float | None = None
    spread: tuple[float, float] | None = None
    note: str = ""

    def is_found(self, level: float = 0.05) -> bool:
        """Whether it differs from `null` after correction for all tests of the audit."""
        return self.adjusted is not None and self.adjusted < level


Check = Callable[[Any], Sequence[Effect]]
"""What is measured of a model."""


@shown_as_table
@dataclass(frozen=True)
class Audit:
    """Effects in the order of the checks. correction: what `adjusted` holds."""

    title: str
    effects: tuple[Effect, ...]
    correction: str = "holm"
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Effect:
        for effect in self.effects:
            if effect.name == name:
                return effect
        what = f"no effect {name!r}"
        raise DataError(explain("Audit", what, remedy=f"it has {[e.name for e in self.effects]}"))

    def __iter__(self) -> Iterator[Effect]:
        return iter(self.effects)

    def found(self, level: float = 0.05) -> tuple[Effect, ...]:
        """Effects that differ from no difference after correction."""
        return tuple(e for e in self.effects if e.is_found(level))

    def table(self) -> Table:
        columns = ("effect", "value", "low", "high", "unit", "p", f"p ({self.correction})",
                   "count", "least", "most", "note")  # fmt: skip
        rows = tuple(
            (e.name, e.value, *_bounds(e), e.unit, e.p, e.adjusted, e.count,
             *(e.spread or (None, None)), e.note)
            for e in self.effects
        )  # fmt: skip
        least = "least and most: over templates, models or words, as the check says"
        return Table(self.title, columns, rows, (f"low, high: 95 % interval; {least}", *self.notes))

    def json(self) -> dict[str, Any]:
        return {**self.table().json(), "correction": self.correction}


def bias_audit(
    model: Any,
    checks: Sequence[Check],
    *,
    title: str = "Bias audit",
    correction: str = "holm",
    on_progress: Callable[[int, int], None] | None = None,
) -> Audit:
    """All checks of a model, corrected for the number of tests they make together.

    model: whatever the checks take: one of ours, or a changed one (`Changed`), or a tokenizer's
    partner. correction: "holm" (any false finding) or "benjamini-hochberg" (their share).
    on_progress gets (checks done, all). An audit finds what its checks ask for: that it finds
    nothing does not make a model fair. Errors: DataError for two effects of one name.
    """
    if correction not in CORRECTIONS:
        what = f"correction is {correction!r}"
        raise DataError(explain("bias_audit", what, remedy=f"it is one of {list(CORRECTIONS)}"))
    effects: list[Effect] = []
    for i, check in enumerate(checks):
        effects += check(model)
        if on_progress is not None:
            on_progress(i + 1, len(checks))
    names = [e.name for e in effects]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice or not effects:
        what = f"effects named twice: {twice}" if twice else "the checks give no effect"
        raise DataError(explain("bias_audit", what, remedy="give each check a label of its own"))
    return Audit(title, corrected(effects, correction), correction)


def corrected(effects: Sequence[Effect], correction: str) -> tuple[Effect, ...]:
    """The effects with `adjusted` filled in where there is a p."""
    tested = [i for i, e in enumerate(effects) if e.p is not None]
    found = list(effects)
    adjusted = CORRECTIONS[correction]([float(effects[i].p or 0.0) for i in tested])
    for i, p in zip(tested, adjusted, strict=True):
        found[i] = replace(found[i], adjusted=float(p))
    return tuple(found)


def over_models(audits: Sequence[Audit]) -> Audit:
    """One audit out of those of models trained alike (other seeds): a model counts once.

    The interval says where the mean over such models lies, which is what a skew planted in their
    text can be compared with: that of a single model only says what this model does. Three models
    are the least for an interval. Errors: DataError where they were not asked the same.
    """
    names = [tuple(e.name for e in a.effects) for a in audits]
    if not audits or len(set(names)) > 1:
        what = f"{len(audits)} audits with {len(set(names))} lists of effects"
        raise DataError(explain("over_models", what, remedy="run the same checks on each model"))
    found = []
    for several in zip(*(a.effects for a in audits), strict=True):
        values = [e.value for e in several if e.value is not None]
        if not values:
            found.append(several[0])
            continue
        shifted = np.array(values) - several[0].null
        got = mean_of_clusters(shifted, range(len(values)))
        null, figure = several[0].null, got.figure
        found.append(
            replace(
                several[0],
                value=got.value + null,
                figure=figure
                and Figure(figure.value + null, figure.low + null, figure.high + null),
                p=got.p,
                adjusted=None,
                count=len(values),
                spread=(min(values), max(values)),
                note=got.note,
            )
        )
    first = audits[0]
    note = f"count, least and most: over {len(audits)} models"
    return Audit(first.title, corrected(found, first.correction), first.correction, (note,))


def compare_audits(before: Audit, after: Audit, title: str = "Before and after") -> Table:
    """Both audits side by side, effect by effect. Errors: DataError for other effects."""
    rows = []
    for effect in before.effects:
        other = after[effect.name]
        change = None
        if effect.value is not None and other.value is not None:
            change = other.value - effect.value
        rows.append(
            (effect.name, effect.value, *_bounds(effect), other.value, *_bounds(other), change,
             effect.unit)
        )  # fmt: skip
    columns = ("effect", "before", "low", "high", "after", "low after", "high after", "change",
               "unit")  # fmt: skip
    return Table(title, columns, tuple(rows), ("low, high: 95 % interval",))


def _bounds(effect: Effect) -> tuple[float | None, float | None]:
    return (None, None) if effect.figure is None else (effect.figure.low, effect.figure.high)
