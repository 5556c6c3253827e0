"""Circuits: the few edges of a model that do a task, found, pruned and measured by ablation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.reasoning.circuits.edges import EdgeEffects, edge_attribution
from tinygrad_tx.reasoning.circuits.judge import Judge, random_circuit
from tinygrad_tx.reasoning.circuits.metric import Metric
from tinygrad_tx.reasoning.circuits.paths import edge_patching
from tinygrad_tx.reasoning.circuits.search import edge_search, node_search
from tinygrad_tx.reasoning.circuits.unfolded import Edge, Wiring, part_of
from tinygrad_tx.reasoning.sweep import MEMORY
from tinygrad_tx.table import Table, shown_as_table
from tinygrad_tx.tasks.task import Figure

__all__ = ["Circuit", "discover_circuit"]

Array = np.ndarray[Any, Any]
Progress = Callable[[int, int], None]

RANKS = ("integrated gradients", "gradients", "patching")


@shown_as_table
@dataclass(frozen=True)
class Circuit:
    """Edges, and how much of what the model does they do when every other edge is ablated.

    costs: for each edge the share of the metric that the circuit loses without it, measured.
    faithfulness: the share of the metric that is left, with an interval over prompts; 1 is all of
    it, above 1 is more than the model itself has. rest: the share that the other edges do without
    these; near 0 where the circuit is complete. curve: faithfulness of the k best edges, by how
    many of them are connected. baseline: of random connected circuits of the same sizes.
    """

    effects: EdgeEffects
    edges: tuple[Edge, ...]
    costs: tuple[float, ...]
    faithfulness: Figure
    rest: Figure
    curve: tuple[tuple[int, Figure], ...]
    baseline: tuple[tuple[int, Figure], ...]
    ablation: str

    @property
    def wiring(self) -> Wiring:
        return self.effects.wiring

    @property
    def nodes(self) -> tuple[str, ...]:
        """Its senders and the logits, in the order of computation."""
        named = {name for s, r in self.edges for name in (s, part_of(r))}
        return tuple(n for n in (*self.wiring.senders, "logits") if n in named)

    def table(self) -> Table:
        """Its edges with their effects."""
        rows = tuple(
            (*edge, self.effects.of(edge), cost)
            for edge, cost in zip(self.edges, self.costs, strict=True)
        )
        total, size = len(self.wiring.edges), len(self.edges)
        notes = [
            f"{size} of {total} edges; the others ablated ({self.ablation}), "
            f"{_said(self.faithfulness)} of the metric is left; these ablated, {_said(self.rest)}.",
            f"effect: by {self.effects.method}. cost: share of the metric lost without this edge.",
        ]
        random = dict(self.baseline).get(size)
        if random is not None:
            notes.append(f"Random connected circuits of {size} edges keep {_said(random)}.")
        columns = ("sender", "receiver", "effect", "cost")
        return Table("Circuit", columns, rows, tuple(notes))

    def curve_table(self) -> Table:
        """Faithfulness by the number of edges, beside random circuits."""
        random = dict(self.baseline)
        rows = []
        for size, found in self.curve:
            other = random.get(size)
            cells = (None, None, None) if other is None else _cells(other)
            rows.append((size, *_cells(found), *cells))
        columns = ("edges", "faithfulness", "low", "high", "random", "random low", "random high")
        notes = ("Intervals: 95 % over prompts drawn again; the middle 95 % of random circuits.",)
        return Table("Faithfulness by size", columns, tuple(rows), notes)


def discover_circuit(
    model: Any,
    clean: Any,
    corrupted: Any,
    metric: Metric,
    *,
    of: str = "edges",
    rank: str = "integrated gradients",
    ablation: str = "counterfactual",
    faithful: float = 0.95,
    tolerance: float = 0.01,
    baselines: int = 20,
    seed: int = 0,
    memory: int = MEMORY,
    on_progress: Progress | None = None,
) -> Circuit:
    """The edges of a GPT or Llama that the task of these prompts needs.

    of: "edges", or "nodes": whole parts, with every edge between two kept ones. They are ranked by
    effect; the fewest of the best that keep `faithful` of the metric, all others ablated, are
    taken; then each goes whose loss costs no more than `tolerance` of it. So the circuit is
    measured, and only the order of trial is estimated. ablation: see `Judge`. rank: "integrated
    gradients", "gradients" (one, on clean prompts) or "patching" (exact for single edges, a run for
    each). baselines: random connected circuits for each size. on_progress:
    (stages done, stages). Cost: a forward pass of all prompts for each circuit that is tried, about
    three times as many as there are edges in the largest that is pruned, many side by side.

    Limits: what it finds is a circuit for this metric on these prompts, under this ablation; two
    parts that back each other up may both be missed by the ranking, and of two that do the same
    either may be left. Errors: ShapeError for prompts of different lengths; GraphError for other
    models; DataError where the metric does not tell the prompts apart.
    Source: Conmy et al. 2023 (pruning by ablation); Hanna et al. 2024 (ranking, faithfulness).
    """
    if rank not in RANKS:
        raise ValueError(f"discover_circuit: rank is {rank!r}, not {', '.join(RANKS)}.")
    if of not in ("edges", "nodes"):
        raise ValueError(f"discover_circuit: of is {of!r}, not edges or nodes.")
    told = on_progress or (lambda done, stages: None)
    if rank == "patching":
        effects = edge_patching(model, clean, corrupted, metric, memory=memory)
    else:
        steps = 1 if rank == "gradients" else 5
        effects = edge_attribution(model, clean, corrupted, metric, steps=steps)
    told(1, 5)
    judge = Judge(model, clean, corrupted, metric, ablation, memory)
    search = (edge_search if of == "edges" else node_search)(judge, effects)
    curve = search.curve()
    told(2, 5)
    found = search.fewest(curve, faithful)
    told(3, 5)
    kept = search.mask_of(search.pruned(found, faithful, tolerance))
    told(4, 5)
    made = _measured(judge, effects, kept, list(curve.values()), (baselines, seed))
    told(5, 5)
    return made


def _measured(
    judge: Judge,
    effects: EdgeEffects,
    kept: Array,
    curve: Sequence[tuple[Array, Figure]],
    random: tuple[int, int],
) -> Circuit:
    """The circuit of these edges with all its figures. random: how many of a size, and a seed."""
    parts, places = judge.wiring, np.argwhere(kept)
    whole, rest = judge.figures([kept, parts.allowed & ~kept])
    fewer = np.repeat(kept[None], len(places), 0)
    fewer[np.arange(len(places)), places[:, 0], places[:, 1]] = False
    left = judge.shares([parts.connected(mask) for mask in fewer])
    edges = tuple((parts.senders[s], parts.receivers[r]) for r, s in places)
    costs = tuple(float(whole.value - share) for share in left)
    points = {int(mask.sum()): figure for mask, figure in curve} | {len(edges): whole}
    # Every second size of the curve, and the circuit's own: each takes many runs.
    sizes = sorted({*sorted(size for size in points if size)[::2], len(edges)} - {0})
    baseline = _baseline(judge, sizes, *random)
    shown = tuple(sorted(points.items(), key=lambda pair: pair[0]))
    return Circuit(effects, edges, costs, whole, rest, shown, baseline, judge.ablation)


def _baseline(
    judge: Judge, sizes: Sequence[int], count: int, seed: int
) -> tuple[tuple[int, Figure], ...]:
    """For each size the mean faithfulness of random circuits, and the middle 95 % of them."""
    if not count:
        return ()
    found = []
    for size in sizes:
        rng = np.random.default_rng((seed, size))
        shares = judge.shares([random_circuit(judge.wiring, size, rng) for _ in range(count)])
        low, high = np.quantile(shares, [0.025, 0.975])
        found.append((size, Figure(float(shares.mean()), float(low), float(high))))
    return tuple(found)


def _cells(figure: Figure) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(x) else x for x in (figure.value, figure.low, figure.high))


def _said(figure: Figure) -> str:
    return f"{figure.value:.1%}" if np.isnan(figure.low) else figure.text()
