"""The exact oracle: every circuit of a very small model, tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import GraphError, explain
from tinygrad_tx.reasoning.circuits.judge import Judge
from tinygrad_tx.reasoning.circuits.unfolded import Edge
from tinygrad_tx.table import Table, shown_as_table

__all__ = ["Oracle", "exact_circuit"]

Array = np.ndarray[Any, Any]


@shown_as_table
@dataclass(frozen=True)
class Oracle:
    """Every subset of the edges that carry anything, tried. best: for each size the subset that is
    most faithful, with its share. smallest: the fewest edges that are faithful enough."""

    tried: int
    best: tuple[tuple[int, float, tuple[Edge, ...]], ...]
    smallest: tuple[Edge, ...]

    def table(self) -> Table:
        rows = tuple((n, share, ", ".join(f"{s} → {r}" for s, r in e)) for n, share, e in self.best)
        notes = (f"{self.tried:,} subsets, all of them.",)
        return Table("Most faithful subset of each size", ("edges", "share", "which"), rows, notes)


def exact_circuit(
    judge: Judge,
    faithful: float = 0.95,
    most: int = 14,
    on_progress: Callable[[int, int], None] | None = None,
) -> Oracle:
    """The smallest faithful circuit there is, by trying all: for models of very few edges.

    Errors: GraphError for more than `most` edges that carry anything: 2^edges runs.
    """
    parts = judge.wiring
    places = [tuple(p) for p in np.argwhere(parts.allowed & ~judge.silent)]
    if len(places) > most:
        what = f"{len(places)} edges have 2^{len(places)} subsets, more than 2^{most}"
        raise GraphError(explain("exact_circuit", what, remedy="take a smaller model"))
    subsets = [(np.arange(2 ** len(places)) >> i) & 1 for i in range(len(places))]
    chosen = np.stack(subsets, axis=1).astype(bool)  # (subsets, edges)
    judge.runs.on_chunk = on_progress
    masks = np.zeros((len(chosen), *parts.allowed.shape), bool)
    for i, place in enumerate(places):
        masks[:, place[0], place[1]] = chosen[:, i]
    shares = judge.shares(list(masks))
    judge.runs.on_chunk = None

    def named(subset: Array) -> tuple[Edge, ...]:
        pairs = [p for p, used in zip(places, subset, strict=True) if used]
        return tuple((parts.senders[s], parts.receivers[r]) for r, s in pairs)

    counts, best = chosen.sum(1), []
    for size in range(len(places) + 1):
        where = np.flatnonzero(counts == size)
        top = where[np.argmax(shares[where])]
        best.append((size, float(shares[top]), named(chosen[top])))
    smallest = next((edges for _, share, edges in best if share >= faithful), best[-1][2])
    return Oracle(len(chosen), tuple(best), smallest)
