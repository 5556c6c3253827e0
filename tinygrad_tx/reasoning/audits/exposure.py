"""Exposure: how far a model prefers a secret of its training text to others that could be there.

exposure of a secret s among candidates R: log2 |R| - log2 rank(s)       Carlini et al. 2019
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.reasoning.audits.memorised import Row
from tinygrad_tx.reasoning.audits.statistics import holm
from tinygrad_tx.table import Table, shown_as_table
from tinygrad_tx.tasks.predict import predict
from tinygrad_tx.tensor import Tensor, cross_entropy

__all__ = ["Exposure", "Secret", "exposure"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Secret:
    """rank 1: no candidate is likelier. bits: exposure. p: the chance of such a rank by nothing but
    chance; adjusted: for all secrets asked for. copies: how often it was put in, if known."""

    tokens: tuple[int, ...]
    rank: int
    bits: float
    p: float
    adjusted: float
    copies: int | None = None


@shown_as_table
@dataclass(frozen=True)
class Exposure:
    """How much likelier planted secrets are to a model than others like them.

    secrets in the order given; candidates: how many there were; limit: the most bits that so
    many can show.
    """

    secrets: tuple[Secret, ...]
    candidates: int

    @property
    def limit(self) -> float:
        return math.log2(self.candidates)

    def known(self, level: float = 0.05) -> tuple[Secret, ...]:
        """Secrets whose rank is not chance, after correction."""
        return tuple(s for s in self.secrets if s.adjusted < level)

    def table(self, decode: Callable[[Sequence[int]], str] = str) -> Table:
        rows = tuple(
            (decode(s.tokens), s.copies, s.rank, s.bits, s.p, s.adjusted) for s in self.secrets
        )
        note = f"{self.candidates:,} candidates each: at most {self.limit:.1f} bits can be shown"
        columns = ("secret", "copies", "rank", "bits", "p", "p (holm)")
        return Table("Exposure of secrets", columns, rows, (note,))

    def json(self) -> dict[str, Any]:
        return self.table().json()


def exposure(
    model: Any,
    secrets: Sequence[tuple[Row, Row]],
    candidates: Sequence[Row],
    copies: Sequence[int] | None = None,
    batch: int = 256,
    on_progress: Callable[[int, int], None] | None = None,
) -> Exposure:
    """Where each secret stands among all candidates in its place, by the model's probability.

    secrets: pairs (text before, secret). candidates: what could have stood there as well, of one
    length, drawn as the secrets were: then the rank of a secret that was never seen is uniform, and
    rank / candidates its p. Equally likely candidates count as likelier. on_progress gets (secrets
    done, all). Errors: DataError. Source: Carlini et al. 2019, section 4.3.
    """
    space = np.array([[int(t) for t in c] for c in candidates], np.int64)
    if space.ndim != 2 or len(space) < 2:
        what = f"{len(space)} candidates of different lengths" if len(space) else "no candidates"
        raise DataError(explain("exposure", what, remedy="give at least two, of one length"))
    found = []
    for i, (before, secret) in enumerate(secrets):
        lead, own = [int(t) for t in before], np.array([int(t) for t in secret], np.int64)
        if not lead or own.shape != space.shape[1:]:
            what = f"secret {i} has {len(own)} tokens behind {len(lead)}"
            raise DataError(explain("exposure", what, remedy=f"give {space.shape[1]}, behind one"))
        rows = np.concatenate([own[None], space[(space != own).any(1)]])
        nats = _surprise(model, lead, rows, batch)
        rank = 1 + int((nats[1:] <= nats[0]).sum())
        found.append((tuple(own.tolist()), rank, len(rows)))
        if on_progress is not None:
            on_progress(i + 1, len(secrets))
    ps = [rank / size for _, rank, size in found]
    adjusted = holm(ps)
    count = None if copies is None else list(copies)
    return Exposure(
        tuple(
            Secret(tokens, rank, math.log2(size) - math.log2(rank), ps[i], float(adjusted[i]),
                   None if count is None else int(count[i]))
            for i, (tokens, rank, size) in enumerate(found)
        ),
        len(space),
    )  # fmt: skip


def _surprise(model: Any, lead: list[int], rows: Array, batch: int) -> Array:
    """-log P of each row (rows, time) behind `lead`, in nats."""
    whole = np.concatenate([np.tile(np.array(lead, np.int64), (len(rows), 1)), rows], 1)
    targets = np.full((len(rows), whole.shape[1] - 1), -100)
    targets[:, len(lead) - 1 :] = rows

    def measured(tokens: Tensor, asked: Tensor) -> Tensor:
        return cross_entropy(model(tokens), asked, reduction="none")

    found = predict(model, measured, (whole[:, :-1], targets), batch).astype(np.float64).sum(1)
    if not np.isfinite(found).all():
        what = (
            f"the model's probabilities of {int((~np.isfinite(found)).sum())} candidates are none"
        )
        raise DataError(explain("exposure", what, remedy="find where by not_finite(model, inputs)"))
    return np.asarray(found)
