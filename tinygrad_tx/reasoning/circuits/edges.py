"""Edge attribution: what every edge between parts does to a metric, estimated all at once.

    effect(s -> r) = sum over positions and width of (clean_s - corrupted_s) . dmetric / dx_r

clean_s and corrupted_s: what sender s sends on each prompt; x_r: the input of receiver r alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import NonFiniteError, explain
from tinygrad_tx.functional import grad
from tinygrad_tx.jit import jit
from tinygrad_tx.reasoning.circuits.metric import Metric, aligned_pair, measured, recovered
from tinygrad_tx.reasoning.circuits.unfolded import (
    Edge,
    Wiring,
    contributions,
    heard,
    unfolded,
    wiring,
)
from tinygrad_tx.table import Table, shown_as_table
from tinygrad_tx.tasks.task import bootstrap
from tinygrad_tx.tensor import Tensor, concat, no_grad, zeros

__all__ = ["EdgeEffects", "both_sent", "edge_attribution"]

Array = np.ndarray[Any, Any]
Progress = Callable[[int, int], None]


@shown_as_table
@dataclass(frozen=True)
class EdgeEffects:
    """By how much the metric falls, on each prompt, when one edge carries what its sender sends on
    the corrupted prompt, all else being clean: positive for an edge that helps.

    effects (prompts, receivers, senders), 0 where there is no edge; clean and corrupted (prompts,)
    are the metric of the whole prompts. method: how it was found.
    """

    wiring: Wiring
    effects: Array
    clean: Array
    corrupted: Array
    method: str

    @property
    def mean(self) -> Array:
        """(receivers, senders)"""
        return np.asarray(self.effects.mean(0))

    def ranked(self) -> list[Edge]:
        """Every edge, from the largest effect to the smallest, whatever its sign."""
        size = np.where(self.wiring.allowed, np.abs(self.mean), -1.0)
        order = np.argsort(-size, axis=None, kind="stable")[: int(self.wiring.allowed.sum())]
        rows, columns = np.unravel_index(order, size.shape)
        names = self.wiring
        return [(names.senders[s], names.receivers[r]) for r, s in zip(rows, columns, strict=True)]

    def of(self, edge: Edge) -> float:
        """Errors: PointError."""
        return float(self.mean[self.wiring.place(edge)])

    def table(self, most: int = 20) -> Table:
        """The largest ones. share: of the metric's fall from clean to corrupted prompts."""
        span = self.clean.mean() - self.corrupted.mean()
        rows = []
        for edge in self.ranked()[:most]:
            each = self.effects[(slice(None), *self.wiring.place(edge))]
            found = bootstrap(each)
            bounds = (found.low, found.high) if len(each) >= 5 else (None, None)
            rows.append((*edge, found.value, *bounds, found.value / span))
        notes = [f"{len(self.clean)} prompts; intervals of 95 % over prompts drawn again."]
        if "attribution" in self.method:
            notes.append("First-order estimates: check the ones that matter with edge_patching.")
        columns = ("sender", "receiver", "effect", "low", "high", "share")
        return Table(f"Edges by effect ({self.method})", columns, tuple(rows), tuple(notes))


def both_sent(model: Any, clean: Array, corrupted: Array, metric: Metric) -> list[Array]:
    """What each sender sends on clean and corrupted prompts (senders, prompts, time, width), and
    the metric of both (prompts,). Errors: NonFiniteError."""

    def run(tokens: Tensor) -> tuple[Tensor, Tensor]:
        with no_grad():
            logits, sent = contributions(model, tokens)
            return sent, measured(metric, logits)

    step = jit(run)
    found = [[np.array(t.numpy()) for t in step(tokens)] for tokens in (clean, corrupted)]
    for name, (sent, value) in zip(("clean", "corrupted"), found, strict=True):
        if not (np.isfinite(sent).all() and np.isfinite(value).all()):
            finite = [*np.isfinite(sent).all((1, 2, 3)), False]
            part = [*wiring(model).senders, "the metric"][finite.index(False)]
            what = f"on the {name} prompts {part} is not finite"
            raise NonFiniteError(explain("edges", what))
    (sent, value), (other, less) = found
    recovered(value, less, value)  # refuses prompts that the metric does not tell apart
    return [sent, other, value, less]


def edge_attribution(
    model: Any,
    clean: Any,
    corrupted: Any,
    metric: Metric,
    *,
    steps: int = 5,
    on_progress: Progress | None = None,
) -> EdgeEffects:
    """The effect of every edge of a GPT or Llama at once, to first order.

    steps: gradients on the way from the corrupted to the clean embeddings, at the middle of each of
    that many parts (EAP-IG); 1: the gradient on the clean prompt alone (EAP). What it misses: an
    edge whose effect no derivative on the way shows (as where a softmax is saturated all along).
    Shapes: clean and corrupted (prompts, time). Cost: two forward passes, and `steps` times one
    forward and one backward pass. Errors: ShapeError for prompts of different lengths, GraphError
    for models without a residual stream that is a sum, DataError, NonFiniteError.
    Source: Syed et al. 2023, equation 2; Hanna et al. 2024, equation 3.
    """
    if steps < 1:
        raise ValueError(f"edge_attribution: steps is {steps}, not at least 1.")
    parts = wiring(model)
    clean, corrupted = aligned_pair(clean, corrupted, "edge_attribution")
    sent, other, value, less = both_sent(model, clean, corrupted, metric)
    step = jit(lambda embedded, change: _scores(model, metric, parts, embedded, change))
    ways = [1.0] if steps == 1 else [(k + 0.5) / steps for k in range(steps)]
    change = sent - other
    total = np.zeros((len(clean), *parts.allowed.shape))
    for done, way in enumerate(ways, 1):
        embedded = (other[0] + way * change[0]).astype(sent.dtype)
        total += step(embedded, change).numpy() / len(ways)
        if on_progress is not None:
            on_progress(done, len(ways))
    method = "attribution" if steps == 1 else f"attribution, {steps} integrated gradients"
    return EdgeEffects(parts, total, value, less, method)


def _scores(model: Any, metric: Metric, parts: Wiring, embedded: Tensor, change: Tensor) -> Tensor:
    """change . dmetric / dx for each prompt, receiver and sender, 0 where there is no edge."""
    senders, prompts, time, width = change.shape

    def total(added: list[Tensor]) -> Tensor:
        left = iter(added)

        def read(where: slice, sent: Sequence[Tensor], constant: Tensor | None) -> Tensor:
            return heard(where, sent, constant) + next(left)

        return measured(metric, unfolded(model, embedded, read)[0]).sum()

    # What is added to an input is 0; the derivative by it is the one by the input.
    added = [zeros((prompts, n, time, width), change.dtype) for n in parts.groups]
    flat = change.reshape((senders, prompts, -1)).permute_dims((1, 2, 0))
    scores = [
        slope.reshape((prompts, n, -1)) @ flat
        for slope, n in zip(grad(total)(added), parts.groups, strict=True)
    ]
    return concat(scores, axis=1) * parts.allowed.astype(change.dtype)
