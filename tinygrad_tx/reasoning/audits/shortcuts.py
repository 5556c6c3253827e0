"""Shortcuts: tokens whose replacement flips a classifier's answer more than that of others does.

moved(w) = mean over examples that hold w of  log-odds of its answer - the same with w replaced
each beside a replacement of another token of the same example, drawn at random
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinygrad_tx.data.units import FIRST
from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.reasoning.audits.slices import Classify, checked_probabilities
from tinygrad_tx.reasoning.audits.statistics import holm, sign_test, wilson
from tinygrad_tx.table import Table, shown_as_table
from tinygrad_tx.tasks.task import Figure, bootstrap

__all__ = ["Shortcut", "Shortcuts", "shortcut_tokens"]

Array = np.ndarray[Any, Any]
LEAST = 20
RETRIES = 30
"""Draws until a token differs from the one it replaces; then any token is drawn."""


@dataclass(frozen=True)
class Shortcut:
    """What a token does to the answer.

    count: examples with it. leads_to: the class it is for, and moved: by how many nats the
    log-odds of that class fall without it. flips: the share of answers that change; random_flips:
    the same where another token of the same examples was replaced. p: that it moves the log-odds of
    its class one way (exact sign test over examples, times the number of classes, of which the one
    was picked). A word that says nothing where others say much flips answers too, but either way.
    against: the error where the label is another than the class it leads to, None where there are
    too few such examples: a word that means the class is seldom there, a shortcut is.
    """

    token: int
    name: str
    count: int
    leads_to: int
    moved: Figure
    flips: Figure
    random_flips: float
    p: float
    adjusted: float
    against: Figure | None
    against_count: int


@shown_as_table
@dataclass(frozen=True)
class Shortcuts:
    """Tokens that a classifier answers by, whatever the rest of the text says.

    tokens: all that were tried, the surest first.
    """

    tokens: tuple[Shortcut, ...]
    examples: int
    left_out: int
    error: float

    def found(self, level: float = 0.05) -> tuple[Shortcut, ...]:
        """Tokens that move answers one way, after correction, and flip more of them than others
        do, with the whole interval."""
        return tuple(t for t in self.tokens if t.adjusted < level and t.flips.low > t.random_flips)

    def misleading(self, level: float = 0.05, least: float = 0.5) -> tuple[Shortcut, ...]:
        """Of those found the ones that move answers by at least so many nats, and against which
        more answers are wrong than in all, with the whole interval: what the model trusts and
        should not. The largest first."""
        some = [
            t for t in self.found(level)
            if t.moved.value >= least and t.against is not None and t.against.low > self.error
        ]  # fmt: skip
        return tuple(sorted(some, key=lambda t: -t.moved.value))

    def table(self, most: int = 20) -> Table:
        columns = ("token", "examples", "leads to", "nats", "low", "high", "flips", "random flips",
                   "p (holm)", "error against it", "examples against it")  # fmt: skip
        rows = tuple(
            (t.name, t.count, t.leads_to, t.moved.value, t.moved.low, t.moved.high, t.flips.value,
             t.random_flips, t.adjusted, t.against and t.against.value, t.against_count)
            for t in self.tokens[:most]
        )  # fmt: skip
        notes = (
            f"{len(self.tokens)} tokens tried on {self.examples} examples; {self.left_out} that "
            f"are in fewer than {LEAST} were not; error of all examples {self.error:.3g}",
            "a token that flips answers may mean what the answer says: whether it should is for a "
            "reader; error against it is over examples with another label than it leads to",
        )
        return Table("Tokens that flip the answer", columns, rows, notes)

    def json(self) -> dict[str, Any]:
        return self.table(len(self.tokens)).json()


def shortcut_tokens(
    classify: Classify,
    tokens: Array,
    labels: Sequence[int] | Array,
    names: Callable[[int], str] = str,
    *,
    seed: int = 0,
    draws: int = 3,
    on_progress: Callable[[int, int], None] | None = None,
) -> Shortcuts:
    """Every token that is in at least 20 examples, replaced by what could stand in its place.

    tokens: (examples, time), padded; special tokens stay. A replacement is another token that
    occurs at the same position of some example, drawn `draws` times from `seed`; the control
    replaces another position of the same example. Single tokens only: a cue of two words or of
    word order is not seen, and a replacement may make text that nobody writes.
    on_progress gets (tokens done, all). Errors: DataError.
    Source: interventions on tokens as in Feder et al. 2021; the control by random tokens is ours.
    """
    tokens, labels = np.asarray(tokens, np.int64), np.asarray(labels)
    if tokens.ndim != 2 or len(tokens) != len(labels) or draws < 1:
        what = f"tokens {tokens.shape}, {len(labels)} labels, {draws} draws"
        raise DataError(explain("shortcut_tokens", what, remedy="give (examples, time), labels"))
    before = checked_probabilities(classify(tokens), len(labels), "shortcut_tokens")
    every = np.unique(tokens[tokens >= FIRST]).tolist()
    tried = [t for t in every if (tokens == t).any(1).sum() >= LEAST]
    found = []
    for i, token in enumerate(tried):
        rng = np.random.default_rng((seed, token))
        found.append(_measured(classify, tokens, labels, before, token, names(token), draws, rng))
        if on_progress is not None:
            on_progress(i + 1, len(tried))
    adjusted = holm([s.p for s in found])
    found = [replace(s, adjusted=float(p)) for s, p in zip(found, adjusted, strict=True)]
    found.sort(key=lambda s: (s.adjusted, s.random_flips - s.flips.value))
    wrong = float((before.argmax(1) != labels).mean())
    return Shortcuts(tuple(found), len(labels), len(every) - len(tried), wrong)


def _measured(
    classify: Classify,
    tokens: Array,
    labels: Array,
    before: Array,
    token: int,
    name: str,
    draws: int,
    rng: np.random.Generator,
) -> Shortcut:
    rows = np.nonzero((tokens == token).any(1))[0]
    some, count = tokens[rows], len(rows)
    without = [_without(some, some == token, tokens, rng) for _ in range(draws)]
    control = [_without(some, _another(some, token, rng), tokens, rng) for _ in range(draws)]
    after = checked_probabilities(
        classify(np.concatenate([*without, *control])), 2 * draws * count, "shortcut_tokens"
    ).reshape(2, draws, count, -1)
    answers = before[rows].argmax(1)
    changed = after.argmax(-1) != answers  # (2, draws, examples)
    odds = _log_odds(before[rows]) - _log_odds(after[0]).mean(0)  # (examples, classes)
    leads_to = int(odds.mean(0).argmax())
    flips = changed.mean(1)  # (2, examples): the share of draws
    p = min(1.0, sign_test(odds[:, leads_to], np.zeros(count)) * odds.shape[1])
    against = rows[labels[rows] != leads_to]
    wrong = before[against].argmax(1) != labels[against]
    return Shortcut(
        token, name, count, leads_to,
        bootstrap(odds[:, leads_to]), bootstrap(flips[0]), float(flips[1].mean()), p, 1.0,
        wilson(int(wrong.sum()), len(wrong)) if len(wrong) >= LEAST else None, len(wrong),
    )  # fmt: skip


def _without(some: Array, place: Array, every: Array, rng: np.random.Generator) -> Array:
    """Rows with other tokens at the places (rows, time), each seen at the same position."""
    found = some.copy()
    anywhere = every[every >= FIRST]
    for column in np.nonzero(place.any(0))[0].tolist():
        own = every[:, column][every[:, column] >= FIRST]
        rows = np.nonzero(place[:, column])[0]
        for pool in (own, anywhere):  # where all have the same token there, any other will do
            for _ in range(RETRIES):
                still = rows[found[rows, column] == some[rows, column]]
                if not len(still):
                    break
                found[still, column] = rng.choice(pool, len(still))
    return found


def _another(some: Array, token: int, rng: np.random.Generator) -> Array:
    """One other position of each row, at random; none where the row has only the token."""
    may = (some >= FIRST) & (some != token)
    keys = np.where(may, rng.random(some.shape), -1.0)
    chosen = np.zeros_like(may)
    chosen[np.arange(len(some)), keys.argmax(1)] = True
    found: Array = chosen & may
    return found


def _log_odds(probabilities: Array) -> Array:
    p = np.clip(probabilities, 1e-12, 1 - 1e-12)
    found: Array = np.log(p) - np.log1p(-p)
    return found
