"""Path patching: what goes along one edge between parts, and not by any other way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.reasoning.circuits.edges import EdgeEffects, both_sent
from tinygrad_tx.reasoning.circuits.metric import Metric, aligned_pair, recovery
from tinygrad_tx.reasoning.circuits.unfolded import Edge, EdgeRuns, wiring
from tinygrad_tx.reasoning.sweep import MEMORY, Chunks
from tinygrad_tx.table import Table, shown_as_table

__all__ = ["PathEffect", "edge_patching", "path_patching"]

Array = np.ndarray[Any, Any]


@shown_as_table
@dataclass(frozen=True)
class PathEffect:
    """What the metric is when edges from `sender` carry what it sends on the corrupted prompt.

    patched, clean, corrupted: (prompts,).
    """

    sender: str
    receivers: tuple[str, ...]
    patched: Array
    clean: Array
    corrupted: Array

    @property
    def effect(self) -> float:
        """By how much the metric falls, on the mean."""
        return float(self.clean.mean() - self.patched.mean())

    def table(self) -> Table:
        found = recovery(self.patched, self.clean, self.corrupted)
        bounds = [None if np.isnan(b) else b for b in (found.low, found.high)]
        row = (self.sender, ", ".join(self.receivers), self.effect, found.value, *bounds)
        columns = ("sender", "receivers", "effect", "share", "low", "high")
        notes = ("share: of the metric's fall from clean to corrupted prompts, 95 % interval.",)
        return Table("Path patching", columns, (row,), notes)


def path_patching(
    model: Any,
    clean: Any,
    corrupted: Any,
    sender: str,
    receivers: str | Sequence[str],
    metric: Metric,
    *,
    memory: int = MEMORY,
) -> PathEffect:
    """The effect that goes straight from one part to others: to a head's query, key or value, a
    feed-forward, or the logits.

    The receivers read what `sender` sends on the corrupted prompt; every other part reads what it
    sends on the clean one. From the receivers on, all is computed anew, so that where one receiver
    stands before another it is heard there. sender: "tokens", "a0.h1", "f0". receivers: one or more
    of "a1.h0.query", "a1.h0" (all three), "f1", "logits". Errors: PointError for a part that there
    is not, or that stands before the sender; ShapeError, GraphError, DataError.
    Source: Wang et al. 2023, appendix B; Goldowsky-Dill et al. 2023, section 3.
    """
    parts = wiring(model)
    patterns = [receivers] if isinstance(receivers, str) else list(receivers)
    named = tuple(dict.fromkeys(r for p in patterns for r in parts.matching(p)))
    mask = parts.allowed & ~parts.mask((sender, r) for r in named)
    clean, corrupted = aligned_pair(clean, corrupted, "path_patching")
    _, other, value, less = both_sent(model, clean, corrupted, metric)
    patched = EdgeRuns(model, clean, other, metric, memory=memory)([mask])[0]
    return PathEffect(sender, named, patched, value, less)


def edge_patching(
    model: Any,
    clean: Any,
    corrupted: Any,
    metric: Metric,
    edges: Iterable[Edge] | None = None,
    *,
    memory: int = MEMORY,
    on_plan: Callable[[Chunks], None] | None = None,
    on_chunk: Callable[[int, int], None] | None = None,
) -> EdgeEffects:
    """The effect of each edge by itself, measured by a run of its own: no estimate.

    edges: all if not given; the others have an effect of 0. What several edges do together is not
    the sum of this. Cost: a forward pass for each edge, many side by side. Errors: as in
    `path_patching`.
    """
    parts = wiring(model)
    chosen = list(parts.edges if edges is None else edges)
    places = [parts.place(edge) for edge in chosen]
    clean, corrupted = aligned_pair(clean, corrupted, "edge_patching")
    _, other, value, less = both_sent(model, clean, corrupted, metric)
    runs = EdgeRuns(model, clean, other, metric, memory=memory, on_plan=on_plan, on_chunk=on_chunk)
    found = runs([parts.allowed & ~parts.mask([edge]) for edge in chosen])
    effects = np.zeros((len(clean), *parts.allowed.shape))
    for (row, column), patched in zip(places, found, strict=True):
        effects[:, row, column] = value - patched
    return EdgeEffects(parts, effects, value, less, "patching")
