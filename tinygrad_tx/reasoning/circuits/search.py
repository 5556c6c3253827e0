"""The search for a circuit: parts tried in an order, judged by ablation of all the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.reasoning.circuits.edges import EdgeEffects
from tinygrad_tx.reasoning.circuits.judge import Judge
from tinygrad_tx.reasoning.circuits.unfolded import Edge, part_of
from tinygrad_tx.tasks.task import Figure

__all__ = ["Search", "edge_search", "node_search"]

Array = np.ndarray[Any, Any]
Item = Edge | str
"""What is kept or left out: an edge, or a node with its edges to other kept ones."""

AT_A_TIME = 8


@dataclass(frozen=True)
class Search:
    """order: the best first. mask_of: the edges that carry when these items are kept."""

    judge: Judge
    order: tuple[Item, ...]
    mask_of: Callable[[Sequence[Item]], Array]

    def curve(self) -> dict[int, tuple[Array, Figure]]:
        """For growing numbers of the best items their edges, and how faithful they are."""
        sizes = _sizes(len(self.order))
        masks = [self.mask_of(self.order[:size]) for size in sizes]
        return dict(zip(sizes, zip(masks, self.judge.figures(masks), strict=True), strict=True))

    def fewest(self, curve: dict[int, tuple[Array, Figure]], faithful: float) -> list[Item]:
        """The fewest of the best that are faithful, as far as faithfulness grows with their number:
        between two sizes of the curve the gap is cut in parts until it is closed."""
        sizes = sorted(curve)
        high = next((s for s in sizes if curve[s][1].value >= faithful), sizes[-1])
        low = max([s for s in sizes if s < high], default=high)
        while high - low > 1:
            tried = sorted({*np.linspace(low, high, AT_A_TIME + 1).astype(int)} - {low, high})
            shares = self.judge.shares([self.mask_of(self.order[:size]) for size in tried])
            first = next((i for i, s in enumerate(shares) if s >= faithful), len(tried))
            low = int(tried[first - 1]) if first else low
            high = int(tried[first]) if first < len(tried) else high
        return list(self.order[:high])

    def pruned(self, kept: list[Item], faithful: float, tolerance: float) -> list[Item]:
        """Without the items whose loss costs little, in rounds: those that cost least go first, as
        many at once as leave the circuit as faithful as it has to be."""
        now = float(self.judge.shares([self.mask_of(kept)])[0])
        while kept:
            worst_first = kept[::-1]
            single = self.judge.shares([self._without(kept, [item]) for item in worst_first])
            cheap = [
                i for i in np.argsort(now - single, kind="stable") if now - single[i] <= tolerance
            ]
            if not cheap:
                break
            gone = [worst_first[i] for i in cheap]
            shares = self.judge.shares(
                [self._without(kept, gone[: n + 1]) for n in range(len(gone))]
            )
            # Each item that goes may cost `tolerance`, all together no more than was asked for.
            counts = np.arange(1, len(gone) + 1)
            least = np.maximum(min(faithful, now), now - tolerance * counts)
            fit = np.flatnonzero(shares >= least)
            if not fit.size:
                break
            left = set(gone[: int(fit[-1]) + 1])
            kept, now = [item for item in kept if item not in left], float(shares[fit[-1]])
        return kept

    def _without(self, kept: Sequence[Item], gone: Sequence[Item]) -> Array:
        return self.mask_of([item for item in kept if item not in gone])


def edge_search(judge: Judge, effects: EdgeEffects) -> Search:
    """Edges, by the size of their effect."""
    parts = judge.wiring
    return Search(
        judge,
        tuple(effects.ranked()),
        lambda items: parts.connected(parts.mask(i for i in items if not isinstance(i, str))),
    )


def node_search(judge: Judge, effects: EdgeEffects) -> Search:
    """Nodes, by the size of the effect of all that they send; every edge between kept ones is."""
    parts = judge.wiring
    size = np.abs(effects.mean.sum(0))
    order = tuple(parts.senders[i] for i in np.argsort(-size, kind="stable"))
    owners = [part_of(r) for r in parts.receivers]
    groups = {r: [parts.senders[s] for s in f] for r, f in zip(owners, parts.feeds, strict=True)}

    def mask_of(items: Sequence[Item]) -> Array:
        sends = np.isin(parts.senders, items) if items else np.zeros(len(parts.senders), bool)
        reads = [r == "logits" or any(g in items for g in groups[r]) for r in owners]
        return parts.connected(parts.allowed & sends & np.array(reads)[:, None])

    return Search(judge, order, mask_of)


def _sizes(count: int) -> list[int]:
    """0, 1, 2, 3, 5, 7, 10, ...: each about 1.4 times the one before, up to all."""
    sizes, size = {0, count}, 1.0
    while size < count:
        sizes.add(int(size))
        size = max(size + 1, size * 1.4)
    return sorted(sizes)
