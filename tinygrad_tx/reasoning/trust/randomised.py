"""Randomised weights: an explanation of a model has to change when the model does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import PointError, explain
from tinygrad_tx.nn import Module
from tinygrad_tx.reasoning.trust.intervals import interval, rank_correlation
from tinygrad_tx.tasks.task import Figure

__all__ = ["STILL_LIKE", "Cascade", "cascade"]

Array = np.ndarray[Any, Any]

STILL_LIKE = 0.5
"""A rank correlation above this after all weights are random: the method hardly depends on them."""


@dataclass(frozen=True)
class Cascade:
    """Rank correlation of an explanation with that of the model whose weights are random from the
    output down to each stage; the first is the model as it is (1)."""

    stages: tuple[str, ...]
    correlations: tuple[Figure, ...]

    @property
    def last(self) -> Figure:
        """With all weights random."""
        return self.correlations[-1]

    @property
    def is_insensitive(self) -> bool:
        """The explanation stays: it is none of this model. With too few examples, by the mean."""
        low = self.last.low
        return (self.last.value if np.isnan(low) else low) > STILL_LIKE

    @property
    def is_sensitive(self) -> bool:
        return self.last.high < STILL_LIKE


def cascade(
    model: Module,
    scores: Callable[[], Array],
    original: Array,
    may: Array,
    stages: Sequence[Sequence[str]] | None = None,
    seed: int = 0,
) -> Cascade:
    """How the explanation `scores()` leaves `original` while weights become random, stage by stage.

    Each parameter has its own elements shuffled: sizes and spread stay, what was learnt goes (a
    parameter whose elements are all equal stays). stages: names of parameters, beginnings count;
    if not given, the parts of the model from the last to the first. Correlations are means over
    examples, over the tokens in `may`. The model has its weights back, whatever happens.
    Errors: PointError for a stage without parameters. Source: Adebayo et al. 2018, section 3.
    """
    kept = model.state_dict()
    parts = _stages(list(kept)) if stages is None else [_named(s, list(kept)) for s in stages]
    rng = np.random.default_rng(seed)
    state, names = dict(kept), ["as trained"]
    found = [_alike(original, original, may)]
    try:
        for name, parameters in parts:
            for p in parameters:
                state[p] = rng.permutation(kept[p].ravel()).reshape(kept[p].shape)
            model.load_state_dict(state)
            found.append(_alike(original, scores(), may))
            names.append(name)
    finally:
        model.load_state_dict(kept)
    return Cascade(tuple(names), tuple(found))


def _alike(first: Array, second: Array, may: Array) -> Figure:
    """Mean over examples; those with a single token have no order and are left out."""
    pairs = zip(first, second, may, strict=True)
    values = [rank_correlation(a[m], b[m]) for a, b, m in pairs if m.sum() > 1]
    return interval(np.array(values))


def _stages(names: Sequence[str]) -> list[tuple[str, list[str]]]:
    """The parts by their first name, and numbered ones each, from the last to the first."""
    parts: dict[str, list[str]] = {}
    for name in names:
        words = name.split(".")
        # A wrapper's one part is opened: `model.blocks.0` is a stage, not `model`.
        number = next((i for i, w in enumerate(words) if w.isdigit()), None)
        stage = ".".join(words[: number + 1]) if number is not None else ".".join(words[:-1])
        parts.setdefault(stage or name, []).append(name)
    return list(parts.items())[::-1]


def _named(beginnings: Sequence[str], names: Sequence[str]) -> tuple[str, list[str]]:
    given = [beginnings] if isinstance(beginnings, str) else list(beginnings)
    found = [n for n in names if any(n == g or n.startswith(f"{g}.") for g in given)]
    if not found:
        raise PointError(explain("cascade", f"no parameter begins with {given}"))
    return ", ".join(given), found
