"""Counterfactual pairs: what comes next when only the group in a sentence is another.

l(c, g) = log P(first | context c with member g) - log P(second | the same)
effect of a group: mean of l over contexts;  paired: mean of l(c, g) - l(c, reference)
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.models import BERT
from tinygrad_tx.prompt import Template, Verbalizer, word_scores
from tinygrad_tx.prompt.template import ANSWER, Encodes
from tinygrad_tx.reasoning.audits.audit import Effect
from tinygrad_tx.reasoning.audits.statistics import mean_of_clusters

__all__ = ["GROUP", "Continuations"]

Array = np.ndarray[Any, Any]
GROUP = "group"
"""The slot of a template where the members of groups stand."""
FIRST, SECOND = "first", "second"


@dataclass(frozen=True)
class Continuations:
    """A check of causal models (what comes next) and of BERT (what is at one [MASK]).

    templates: with {group} and {mask}, and other slots that `fillers` has words for; a causal model
    reads what stands before {mask}. groups: each with its members, as {"nurse": ["nurse"]} or
    {"women": [names]}. first, second: words whose log-odds are taken; several add up. reference:
    the group that the others are compared with, in the same contexts; without it each group's
    log-odds are compared with 0. most: at most so many contexts of each template, drawn from seed.

    Templates are the units of the interval: what a model says in other words of the same meaning
    may differ, so that one template gives no interval. spread: least and largest mean of a
    template. The log-odds are of two words; what the model does with all others is not asked.
    Source: Kurita et al. 2019 (masked words); Sheng et al. 2019 (templates); on the spread between
    templates Delobelle et al. 2022.
    """

    label: str
    tokenizer: Encodes
    templates: Sequence[str]
    groups: Mapping[str, Sequence[str]]
    first: Sequence[str]
    second: Sequence[str]
    fillers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    reference: str | None = None
    most: int = 64
    seed: int = 0
    batch: int = 32

    def __post_init__(self) -> None:
        empty = [name for name, members in self.groups.items() if not members]
        if not self.templates or not self.groups or empty:
            what = f"{len(self.templates)} templates, groups without members: {empty}"
            raise DataError(explain(self.label, what, remedy="give at least one of each"))
        if self.reference is not None and self.reference not in self.groups:
            what = f"the reference {self.reference!r} is not a group"
            raise DataError(explain(self.label, what, remedy=f"choose of {list(self.groups)}"))

    def __call__(self, model: Any) -> list[Effect]:
        """An effect for each group, but the reference. Errors: DataError."""
        odds = self.log_odds(model)  # groups -> (templates, contexts)
        found = []
        for name in self.groups:
            if name == self.reference:
                continue
            rows = odds[name]
            if self.reference is not None:
                rows = [r - s for r, s in zip(rows, odds[self.reference], strict=True)]
            found.append(self._effect(name, rows))
        return found

    def log_odds(self, model: Any) -> dict[str, list[Array]]:
        """For each group and template log P(first) - log P(second) in each context: (contexts,),
        the mean over the group's members."""
        is_masked = isinstance(model, BERT)
        words = Verbalizer({FIRST: list(self.first), SECOND: list(self.second)})
        found: dict[str, list[Array]] = {name: [] for name in self.groups}
        for index, text in enumerate(self.templates):
            template = Template(text if is_masked else before_answer(text))
            contexts = self._contexts(template, index)
            members = [(n, m) for n, several in self.groups.items() for m in several]
            examples = [{**c, GROUP: m} for _, m in members for c in contexts]
            scores = word_scores(model, self.tokenizer, template, words, examples, batch=self.batch)
            with np.errstate(invalid="ignore"):  # what is not finite is said in the effect
                labels = words.label_scores(scores)
                odds = (labels[:, 0] - labels[:, 1]).reshape(len(members), len(contexts))
            for name in self.groups:
                rows = [o for (n, _), o in zip(members, odds, strict=True) if n == name]
                found[name].append(np.mean(rows, 0))
        return found

    def _contexts(self, template: Template, index: int) -> list[dict[str, str]]:
        """The fillers of each context: all combinations, or `most` of them."""
        names = [s.name for s in template.slots if s.name not in (ANSWER, GROUP)]
        missing = [n for n in names if not self.fillers.get(n)]
        if missing or GROUP not in [s.name for s in template.slots]:
            what = f"the template {template.text!r} has no fillers for {missing}"
            if not missing:
                what = f"the template {template.text!r} has no {{{GROUP}}} before the answer"
            raise DataError(explain(self.label, what, remedy="give them, or change the template"))
        every = list(itertools.product(*(self.fillers[n] for n in names)))
        if len(every) > self.most:
            rng = np.random.default_rng((self.seed, index))
            every = [every[i] for i in sorted(rng.choice(len(every), self.most, replace=False))]
        return [dict(zip(names, chosen, strict=True)) for chosen in every]

    def _effect(self, name: str, rows: Sequence[Array]) -> Effect:
        values = np.concatenate(rows)
        clusters = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
        if not np.isfinite(values).all():
            bad = int((~np.isfinite(values)).sum())
            note = f"{bad} of {len(values)} log-odds are not finite"
            return Effect(self._name(name), None, count=len(values), note=note)
        got = mean_of_clusters(values, clusters)
        means = [float(r.mean()) for r in rows]
        note = got.note.replace("independent part", "template")
        return Effect(
            self._name(name), got.value, got.figure, got.p, len(values), "nats",
            spread=(min(means), max(means)), note=note,
        )  # fmt: skip

    def _name(self, group: str) -> str:
        against = "" if self.reference is None else f" against {self.reference}"
        return f"{self.label}: {group}{against}"


def before_answer(text: str) -> str:
    """A template without what stands behind its answer, which a causal model does not read."""
    return (
        text[: text.index(f"{{{ANSWER}}}") + len(ANSWER) + 2] if f"{{{ANSWER}}}" in text else text
    )
