"""Rules for what is written: functions of the next token's logits and of the text so far.

`stream`, `write_batch` and `beam_search` take any such function as `constraint`. NumPy alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import DataError, NonFiniteError, explain

__all__ = ["Balanced", "Banned", "Constraint", "constrained_logits"]

Array = np.ndarray[Any, Any]
Constraint = Callable[[Array, Sequence[int]], Array]
"""(logits (vocab,), tokens so far) -> logits (vocab,)."""


@dataclass(frozen=True)
class Banned:
    """These tokens are not written. unless: texts that hold one of these are left alone."""

    tokens: tuple[int, ...]
    unless: frozenset[int] = frozenset()

    def __call__(self, logits: Array, seen: Sequence[int]) -> Array:
        if not self.unless.isdisjoint(seen):
            return logits
        found = logits.copy()
        found[list(self.tokens)] = -np.inf
        return found


@dataclass(frozen=True)
class Balanced:
    """Groups of tokens are equally likely, their sum and the shares inside each staying.

        l'_t = l_t - lse(group of t) + lse(all groups) - log(number of groups)

    groups: as ((he,), (she,)). unless: texts that hold one of these tokens are left alone. What is
    written later sees the word that was drawn: this balances words, not what follows from them.
    Errors: DataError for groups that are empty or overlap.
    """

    groups: tuple[tuple[int, ...], ...]
    unless: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        tokens = [t for group in self.groups for t in group]
        if len(self.groups) < 2 or not all(self.groups) or len(set(tokens)) < len(tokens):
            what = f"groups are {self.groups}"
            remedy = "give two or more groups of tokens, none in two of them"
            raise DataError(explain("Balanced", what, remedy=remedy))

    def __call__(self, logits: Array, seen: Sequence[int]) -> Array:
        if not self.unless.isdisjoint(seen):
            return logits
        found = logits.copy()
        sums = [_log_sum(logits[list(g)]) for g in self.groups]
        whole = _log_sum(np.array(sums)) - np.log(len(self.groups))
        if whole == -np.inf:
            return logits  # none of them can come at all
        for group, own in zip(self.groups, sums, strict=True):
            # A group that cannot come has no shares inside: all its tokens are alike.
            shares = logits[list(group)] - own if own > -np.inf else -np.log(len(group))
            found[list(group)] = shares + whole
        return found


def constrained_logits(
    constraint: Constraint | None, logits: Array, texts: Sequence[Sequence[int]]
) -> Array:
    """Logits (batch, vocab) under the rule, each row with its text. Errors: NonFiniteError where a
    rule leaves no token, DataError where it gives another shape."""
    if constraint is None:
        return logits
    found = np.array(logits)
    for i, text in enumerate(texts):
        row = np.asarray(constraint(logits[i], text))
        if row.shape != logits[i].shape:
            what = f"the constraint gave {row.shape}, not {logits[i].shape}"
            raise DataError(explain("generate", what))
        if (row == -np.inf).all():
            what = f"the constraint leaves no token after {len(text)} tokens"
            raise NonFiniteError(explain("generate", what, remedy="ban fewer tokens"))
        found[i] = row
    return found


def _log_sum(values: Array) -> float:
    top = float(values.max())
    if top == -np.inf:
        return top
    return top + float(np.log(np.exp(values.astype(np.float64) - top).sum()))
