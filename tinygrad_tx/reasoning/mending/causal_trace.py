"""Causal tracing: at which layer and token a fact is read, by what restores it in a spoilt run.

The subject's embeddings get noise, so that the fact is lost; then one state at a time is what it
was in the clean run, and the effect is how much of P(answer) comes back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import DataError, IndexRangeError, NonFiniteError, explain
from tinygrad_tx.reasoning.change import add, replace
from tinygrad_tx.reasoning.look import Patterns, capture
from tinygrad_tx.reasoning.sweep import sweep
from tinygrad_tx.table import Table, shown_as_table
from tinygrad_tx.tensor import Tensor, no_grad, softmax

__all__ = ["Trace", "causal_trace", "subject_places"]

Array = np.ndarray[Any, Any]
EMBEDDED = "token_embedding"


@shown_as_table
@dataclass(frozen=True)
class Trace:
    """Where in a model a fact is recalled: what each state restores (Meng et al. 2022).

    restored: P(answer) with one state restored, (points, positions), the mean over draws of
    noise. clean and spoilt: P(answer) without noise, and with noise and nothing restored.
    """

    paths: tuple[str, ...]
    tokens: tuple[int, ...]
    subject: tuple[int, ...]
    restored: Array
    clean: float
    spoilt: float
    draws: int

    @property
    def effects(self) -> Array:
        """The indirect effect: what restoring one state adds to P(answer). (points, positions)."""
        return np.asarray(self.restored - self.spoilt)

    def best(self, position: int | None = None) -> str:
        """The point with the largest effect at a position: the subject's last token if None."""
        place = self.subject[-1] if position is None else position
        return self.paths[int(self.effects[:, place].argmax())]

    @property
    def where(self) -> tuple[str, int]:
        """(point, position) of the largest effect of all."""
        i, position = np.unravel_index(self.effects.argmax(), self.effects.shape)
        return self.paths[i], int(position)

    def table(self) -> Table:
        rows = tuple((p, *map(float, e)) for p, e in zip(self.paths, self.effects, strict=True))
        columns = ("point", *(f"{i}: {t}" for i, t in enumerate(self.tokens)))
        notes = (
            f"P(answer): {self.clean:.3g} clean, {self.spoilt:.3g} with noise on positions "
            f"{list(self.subject)} ({self.draws} draws); each cell what one restored state adds",
        )
        return Table("Causal trace", columns, rows, notes)


def causal_trace(
    model: Any,
    tokens: Sequence[int],
    subject: int | Sequence[int],
    answer: int,
    at: Patterns = "blocks.*.feed_forward.output",
    *,
    noise: float = 3.0,
    draws: int = 8,
    seed: int = 0,
    on_chunk: Callable[[int, int], None] | None = None,
) -> Trace:
    """The effect of each point that `at` names, at each position of one prompt.

    subject: its positions. noise: in standard deviations of the embedding's table as the prompt
    uses it. A state that restores the answer carries it; that it is also stored there does not
    follow (Hase et al. 2023: the layer that tracing finds is not always the best one to edit).
    Errors: IndexRangeError, DataError. Source: Meng et al. 2022, section 2.1.
    """
    places = subject_places(subject, len(tokens))
    if draws < 1 or not noise > 0:
        what = f"draws {draws}, noise {noise}"
        raise DataError(explain("causal_trace", what, remedy="give at least 1 and more than 0"))
    text = np.asarray(tokens, np.int64)[None]
    patterns = [at] if isinstance(at, str) else list(at)
    with no_grad():
        clean = capture(model, text, [EMBEDDED, *patterns])
        last = softmax(clean.output[0, -1])
        known = float(last.numpy()[answer])
    embedded = clean[EMBEDDED].numpy()
    paths = tuple(p for p in clean if p != EMBEDDED)
    rng = np.random.default_rng(seed)
    disturbed = np.zeros((draws, *embedded.shape[1:]), embedded.dtype)
    size = noise * float(embedded.std())
    disturbed[:, places] = rng.normal(0, size, (draws, len(places), embedded.shape[2]))
    spoilt = {EMBEDDED: add(disturbed)}
    runs = [spoilt]
    for path in paths:
        runs += [
            {**spoilt, path: replace(clean[path].numpy(), positions=p)} for p in range(len(tokens))
        ]

    def measure(logits: Tensor, tokens: Tensor) -> Tensor:
        return softmax(logits[:, -1])[:, answer]

    found = sweep(model, np.tile(text, (draws, 1)), runs, measure, on_chunk=on_chunk)
    if not np.isfinite(found).all():
        raise NonFiniteError(explain("causal_trace", "P(answer) is not finite under noise"))
    means = found.astype(np.float64).mean(1)
    restored = means[1:].reshape(len(paths), len(tokens))
    given = tuple(int(t) for t in tokens)
    return Trace(paths, given, tuple(places), restored, known, float(means[0]), draws)


def subject_places(subject: int | Sequence[int], length: int) -> list[int]:
    """Positions of the subject, from 0, in order. Errors: IndexRangeError."""
    given = np.atleast_1d(np.asarray(subject, np.int64))
    if not given.size or (given >= length).any() or (given < -length).any():
        what = f"subject positions {given.tolist()} in a prompt of {length} tokens"
        raise IndexRangeError(explain("edit", what))
    return sorted({int(p) % length for p in given})
