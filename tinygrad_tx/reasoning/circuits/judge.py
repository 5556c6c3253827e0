"""What a circuit is worth: the metric with every edge outside of it ablated; random circuits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_tx.reasoning.circuits.edges import both_sent
from tinygrad_tx.reasoning.circuits.metric import Metric, aligned_pair, recovered, recovery
from tinygrad_tx.reasoning.circuits.unfolded import EdgeRuns, Wiring
from tinygrad_tx.reasoning.sweep import MEMORY
from tinygrad_tx.tasks.task import Figure

__all__ = ["ABLATIONS", "Judge", "random_circuit"]

Array = np.ndarray[Any, Any]

ABLATIONS = ("counterfactual", "mean", "zero")


class Judge:
    """What is left of the metric when a circuit's edges alone carry what their senders send.

    ablation: what the others carry: "counterfactual", what the sender sends on the corrupted
    prompt; "mean", its mean over the clean prompts at each position; "zero". 0 is the metric with
    every edge ablated, 1 that of the model.
    """

    def __init__(
        self,
        model: Any,
        clean: Any,
        corrupted: Any,
        metric: Metric,
        ablation: str = "counterfactual",
        memory: int = MEMORY,
    ) -> None:
        if ablation not in ABLATIONS:
            raise ValueError(f"circuit: ablation is {ablation!r}, not {', '.join(ABLATIONS)}.")
        self.ablation = ablation
        clean, corrupted = aligned_pair(clean, corrupted, "circuit")
        sent, other, _, _ = both_sent(model, clean, corrupted, metric)
        if ablation == "mean":
            other = np.broadcast_to(sent.mean(1, keepdims=True), sent.shape).copy()
        elif ablation == "zero":
            other = np.zeros_like(sent)
        self.runs = EdgeRuns(model, clean, other, metric, memory=memory)
        self.silent = np.abs(sent - other).max((1, 2, 3)) <= 1e-6 * np.abs(sent).max()
        """Senders that send the same either way: their edges carry nothing."""
        self.wiring = self.runs.wiring
        self.none, self.all = self.runs([np.zeros_like(self.wiring.allowed), self.wiring.allowed])

    def values(self, masks: Sequence[Array]) -> Array:
        """The metric (runs, prompts) of each circuit."""
        return self.runs(masks)

    def shares(self, masks: Sequence[Array]) -> Array:
        """Faithfulness (runs,) of each circuit."""
        return recovered(self.runs(masks), self.none, self.all)

    def figures(self, masks: Sequence[Array]) -> list[Figure]:
        """Faithfulness with intervals."""
        return [recovery(v, self.none, self.all) for v in self.runs(masks)]


def random_circuit(wiring: Wiring, size: int, rng: np.random.Generator) -> Array:
    """A mask of about `size` edges, of random ways from the embeddings to the logits.

    Connected, as a fair baseline has to be: edges drawn one by one hardly ever do anything.
    """
    reads = {s: np.flatnonzero([s in f for f in wiring.feeds]) for s in range(len(wiring.senders))}
    mask = np.zeros_like(wiring.allowed)
    while int(mask.sum()) < min(size, int(wiring.allowed.sum())):
        row = len(wiring.receivers) - 1
        way = []
        while True:
            sender = int(rng.choice(np.flatnonzero(wiring.allowed[row])))
            way.append((row, sender))
            if not len(reads[sender]):
                break
            row = int(rng.choice(reads[sender]))
        for place in way:
            mask[place] = True
    return mask
