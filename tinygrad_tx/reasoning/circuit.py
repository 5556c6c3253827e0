"""Circuits: the few edges of a model that do a task, found, pruned and measured by ablation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.reasoning.edges import EdgeEffects, edge_attribution
from tinygrad_tx.reasoning.judge import Judge, random_circuit
from tinygrad_tx.reasoning.metric import Metric
from tinygrad_tx.reasoning.paths import edge_patching
from tinygrad_tx.reasoning.sweep import MEMORY
from tinygrad_tx.reasoning.table import Table
from tinygrad_tx.reasoning.unfolded import Edge, Wiring
from tinygrad_tx.tasks.task import Figure

__all__ = ["Circuit", "discover_circuit", "part_of"]

Array = np.ndarray[Any, Any]
Progress = Callable[[int, int], None]

RANKS = ("integrated gradients", "gradients", "patching")


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

    Edges are ranked by effect; the fewest of the best that keep `faithful` of the metric, all
    others ablated, are taken; then every edge goes whose loss costs no more than `tolerance` of it.
    So the circuit is measured, and only the order of trial is estimated. rank: "integrated
    gradients", "gradients" (one, on clean prompts) or "patching" (exact for single edges, a run for
    each). baselines: random connected circuits for each size. on_progress: (stages done, stages).

    Limits: what it finds is a circuit for this metric on these prompts, under this ablation; two
    parts that back each other up may both be missed by the ranking, and of two that do the same
    either may be left. Errors: ShapeError for prompts of different lengths; GraphError for other
    models; DataError where the metric does not tell the prompts apart.
    Source: Conmy et al. 2023 (pruning by ablation); Hanna et al. 2024 (ranking, faithfulness).
    """
    if rank not in RANKS:
        raise ValueError(f"discover_circuit: rank is {rank!r}, not {', '.join(RANKS)}.")
    told = on_progress or (lambda done, stages: None)
    if rank == "patching":
        effects = edge_patching(model, clean, corrupted, metric, memory=memory)
    else:
        steps = 1 if rank == "gradients" else 5
        effects = edge_attribution(model, clean, corrupted, metric, steps=steps)
    told(1, 4)
    judge = Judge(model, clean, corrupted, metric, ablation, memory)
    masks = _best(judge, effects, _sizes(len(effects.wiring.edges)))
    figures = judge.figures(masks)
    told(2, 4)
    kept = _fewest(judge, effects, figures, faithful)
    kept = _pruned(judge, kept, effects, faithful, tolerance)
    told(3, 4)
    parts = judge.wiring
    edges = tuple((parts.senders[s], parts.receivers[r]) for r, s in np.argwhere(kept))
    fewer = [_without(judge, kept, [tuple(place)]) for place in np.argwhere(kept)]
    whole, rest = judge.figures([kept, parts.allowed & ~kept])
    curve = _curve(masks, figures, kept, whole)
    baseline = _baseline(judge, [size for size, _ in curve if size], baselines, seed)
    told(4, 4)
    costs = tuple(float(whole.value - share) for share in judge.shares(fewer))
    return Circuit(effects, edges, costs, whole, rest, curve, baseline, ablation)


def _best(judge: Judge, effects: EdgeEffects, sizes: Iterable[int]) -> list[Array]:
    """The best edges by effect, so many of them, less those that lead nowhere."""
    parts, order = judge.wiring, effects.ranked()
    return [parts.connected(parts.mask(order[:size])) for size in sizes]


def _fewest(
    judge: Judge, effects: EdgeEffects, figures: Sequence[Figure], faithful: float
) -> Array:
    """The fewest of the best edges that are faithful, one by one between two sizes of `figures`."""
    sizes = _sizes(len(effects.wiring.edges))
    enough = [i for i, figure in enumerate(figures) if figure.value >= faithful]
    last = enough[0] if enough else len(sizes) - 1
    tried = _best(judge, effects, range(sizes[max(last - 1, 0)], sizes[last] + 1))
    fit = np.flatnonzero(judge.shares(tried) >= faithful)
    return tried[int(fit[0])] if fit.size else tried[-1]


def _curve(
    masks: Sequence[Array], figures: Sequence[Figure], kept: Array, whole: Figure
) -> tuple[tuple[int, Figure], ...]:
    """By the number of connected edges; the pruned circuit stands for its size."""
    found = {int(mask.sum()): figure for mask, figure in zip(masks, figures, strict=True)}
    found[int(kept.sum())] = whole
    return tuple(sorted(found.items(), key=lambda pair: pair[0]))


def _pruned(
    judge: Judge, mask: Array, effects: EdgeEffects, faithful: float, tolerance: float
) -> Array:
    """Without the edges whose loss costs little, in rounds: those that cost least go first, as many
    at once as leave the circuit as faithful as it has to be."""
    size = np.abs(effects.mean)
    now = float(judge.shares([mask])[0])
    while mask.any():
        places = sorted(map(tuple, np.argwhere(mask)), key=lambda p: size[p])
        single = judge.shares([_without(judge, mask, [p]) for p in places])
        costs = [(now - s, p) for s, p in zip(single, places, strict=True)]
        cheap = [p for cost, p in sorted(costs, key=lambda c: c[0]) if cost <= tolerance]
        if not cheap:
            return mask
        fewer = [_without(judge, mask, cheap[: n + 1]) for n in range(len(cheap))]
        shares = judge.shares(fewer)
        # Each edge that goes may cost `tolerance`; all together may not cost what was asked for.
        least = [max(min(faithful, now), now - tolerance * (n + 1)) for n in range(len(cheap))]
        fit = [n for n, share in enumerate(shares) if share >= least[n]]
        if not fit:
            return mask
        mask, now = fewer[fit[-1]], float(shares[fit[-1]])
    return mask


def _without(judge: Judge, mask: Array, places: Iterable[tuple[int, ...]]) -> Array:
    fewer = mask.copy()
    for place in places:
        fewer[place] = False
    return judge.wiring.connected(fewer)


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


def _sizes(edges: int) -> list[int]:
    """0, 1, 2, 3, 5, 7, 10, ...: each about 1.4 times the one before, up to all."""
    sizes = {0, edges}
    size = 1.0
    while size < edges:
        sizes.add(int(size))
        size = max(size + 1, size * 1.4)
    return sorted(sizes)


def part_of(receiver: str) -> str:
    """The part to which a receiver belongs: a0.h1.query to a0.h1."""
    head, _, kind = receiver.rpartition(".")
    return head if kind in ("query", "key", "value") else receiver


def _cells(figure: Figure) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(x) else x for x in (figure.value, figure.low, figure.high))


def _said(figure: Figure) -> str:
    return f"{figure.value:.1%}" if np.isnan(figure.low) else figure.text()
