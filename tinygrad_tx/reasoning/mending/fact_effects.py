"""What an edit of a fact did: to its own prompt, to the same said otherwise, to its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.jit import jit
from tinygrad_tx.reasoning.audits.statistics import wilson
from tinygrad_tx.reasoning.mending.edit import Edit
from tinygrad_tx.table import Table, shown_as_table
from tinygrad_tx.tasks.task import Figure
from tinygrad_tx.tensor import Tensor, no_grad, softmax

__all__ = ["FactEffects", "fact_effects"]

Array = np.ndarray[Any, Any]
Prompts = Sequence[Sequence[int]]


@shown_as_table
@dataclass(frozen=True)
class FactEffects:
    """What an edit of a fact changed, where it should and where it should not.

    efficacy, generalisation: the share of own prompts and of paraphrases after which the target
    is the likeliest; specificity: the share of neighbours that are gone on with as before. Each
    with Wilson's interval. target: P(target) before and after, for own prompts, then paraphrases.
    kept: P after the edit of what each neighbour said before.
    """

    efficacy: Figure | None
    generalisation: Figure | None
    specificity: Figure | None
    target: tuple[Array, Array]
    kept: Array

    def table(self) -> Table:
        rows = []
        for name, share in (
            ("efficacy: own prompts", self.efficacy),
            ("generalisation: paraphrases", self.generalisation),
            ("specificity: neighbours", self.specificity),
        ):
            bounds = (None,) * 3 if share is None else (share.value, share.low, share.high)
            rows.append((name, *bounds))
        means = [float(x.mean()) if x.size else None for x in (*self.target, self.kept)]
        notes = (
            f"mean P(target) {_shown(means[0])} before, {_shown(means[1])} after; mean P of what "
            f"neighbours said before, after the edit: {_shown(means[2])}",
            "the prompts are those given: how far an edit reaches beyond them is not known",
        )
        return Table("What the edit did", ("prompts", "share", "low", "high"), tuple(rows), notes)


def fact_effects(
    model: Any,
    edit: Edit,
    target: int,
    prompts: Prompts,
    paraphrases: Prompts = (),
    neighbours: Prompts = (),
) -> FactEffects:
    """The model asked before the edit, under it, and left as it was.

    paraphrases: the same question in other words. neighbours: questions on other subjects, whose
    answers should stay. Errors: DataError for no prompt, CheckpointError for an edit that is in the
    model already. Source: Meng et al. 2022, section 3.3 (efficacy, paraphrase and neighbourhood
    scores, there by comparing two answers; here by the likeliest of all).
    """
    every = [*prompts, *paraphrases, *neighbours]
    if not len(prompts) or not all(len(p) for p in every):
        what = f"{len(prompts)} prompts, or one of all without tokens"
        raise DataError(explain("fact_effects", what, remedy="give at least one, with tokens"))
    tokens = np.zeros((len(every), max(map(len, every))), np.int64)
    for row, prompt in zip(tokens, every, strict=True):
        row[: len(prompt)] = prompt
    each, last = np.arange(len(every)), np.array([len(p) - 1 for p in every])

    def chances(tokens: Tensor) -> Tensor:
        with no_grad():
            return softmax(model(tokens))

    run = jit(chances)
    before = run(tokens).numpy()[each, last].astype(np.float64)
    with edit.applied():
        after = run(tokens).numpy()[each, last].astype(np.float64)
    asked = len(prompts) + len(paraphrases)
    is_target = after.argmax(-1) == target
    is_same = (after.argmax(-1) == before.argmax(-1))[asked:]
    kept = after[each[asked:], before.argmax(-1)[asked:]]
    return FactEffects(
        _share(is_target[: len(prompts)]),
        _share(is_target[len(prompts) : asked]),
        _share(is_same),
        (before[:asked, target], after[:asked, target]),
        kept,
    )


def _share(hits: Array) -> Figure | None:
    return wilson(int(hits.sum()), len(hits)) if len(hits) else None


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
