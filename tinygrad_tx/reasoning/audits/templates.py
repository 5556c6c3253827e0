"""How much an audit depends on its templates: what it would have said with fewer of them."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.reasoning.audits.continuations import Continuations
from tinygrad_tx.table import Table, shown_as_table

__all__ = ["Sensitivity", "template_sensitivity"]

Array = np.ndarray[Any, Any]
MOST = 500
"""Subsets of templates of one size that are tried; beyond that so many are drawn."""


@shown_as_table
@dataclass(frozen=True)
class Sensitivity:
    """How far the effects of an audit depend on the templates it asks with.

    effects: (groups, templates), in nats. For each number of templates: error, the root mean
    square distance from the mean over all; reversed, the share of groups and subsets whose sign is
    another than over all templates.
    """

    label: str
    groups: tuple[str, ...]
    templates: tuple[str, ...]
    effects: Array
    error: Array
    reversed: Array

    def table(self) -> Table:
        rows = tuple(
            (i + 1, float(self.error[i]), float(self.reversed[i]))
            for i in range(len(self.templates))
        )
        note = (
            "Subsets are of these templates: others may differ from all of them. Groups whose mean "
            "is near 0 change their sign easily."
        )
        columns = ("templates", "error in nats", "other sign")
        return Table(f"{self.label}: with fewer templates", columns, rows, (note,))

    def by_template(self) -> Table:
        """The effect of each group in each template."""
        columns = ("group", *(f"{i + 1}" for i in range(len(self.templates))), "mean", "deviation")
        rows = tuple(
            (group, *map(float, row), float(row.mean()), float(row.std(ddof=1)))
            for group, row in zip(self.groups, self.effects, strict=True)
        )
        notes = tuple(f"{i + 1}: {t}" for i, t in enumerate(self.templates))
        return Table(f"{self.label}: by template", columns, rows, notes)

    def json(self) -> dict[str, Any]:
        return {"fewer": self.table().json(), "by_template": self.by_template().json()}


def template_sensitivity(model: Any, check: Continuations) -> Sensitivity:
    """The check's effects for each template alone, and for all subsets of the templates.

    Errors: DataError for fewer than two templates, and log-odds that are not finite. Source:
    Delobelle et al. 2022; Seshadri, Pezeshkpour and Singh 2022 (templates change conclusions).
    """
    if len(check.templates) < 2:
        what = f"{len(check.templates)} template has no spread"
        raise DataError(explain(check.label, what, remedy="give several templates"))
    odds = check.log_odds(model)
    base = odds[check.reference] if check.reference is not None else None
    groups = tuple(g for g in odds if g != check.reference)
    effects = np.array(
        [[r.mean() - (0 if base is None else base[i].mean()) for i, r in enumerate(odds[g])]
         for g in groups]
    )  # fmt: skip
    if not np.isfinite(effects).all():
        raise DataError(explain(check.label, "log-odds are not finite"))
    count = effects.shape[1]
    whole = effects.mean(1)
    error, other = np.zeros(count), np.zeros(count)
    rng = np.random.default_rng(check.seed)
    for size in range(1, count + 1):
        if math.comb(count, size) <= MOST:
            subsets = np.array(list(itertools.combinations(range(count), size)))
        else:
            subsets = np.argsort(rng.random((MOST, count)), axis=1)[:, :size]
        means = effects[:, subsets].mean(-1)  # (groups, subsets)
        error[size - 1] = np.sqrt(((means - whole[:, None]) ** 2).mean())
        other[size - 1] = (np.sign(means) != np.sign(whole)[:, None]).mean()
    return Sensitivity(check.label, groups, tuple(check.templates), effects, error, other)
