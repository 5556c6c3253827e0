"""Neurons: what feed-forward units (or any units) respond to, over a corpus read once.

A unit's strongest examples show one end of what it does; the statistics beside them say how rare
that end is. Nothing but the strongest examples is kept, so the corpus may be of any length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import DataError, IndexRangeError, NonFiniteError, PointError, explain
from tinygrad_tx.jit import jit
from tinygrad_tx.reasoning.look import Model, Patterns, capture
from tinygrad_tx.table import Table, shown_as_table
from tinygrad_tx.tensor import Tensor, no_grad

__all__ = ["Example", "Neurons", "Strongest", "Units", "neurons"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Example:
    """Tokens around a strong activation, each with the unit's activation there.

    place: which of `tokens` is the strong one. text, position: where it stands in the corpus.
    """

    activation: float
    tokens: tuple[int, ...]
    activations: tuple[float, ...]
    place: int
    text: int
    position: int


class Strongest:
    """The strongest examples of each unit in what was read so far, and sums for its statistics.

    One example for each text at most. Memory: units x examples x window, whatever is read.
    """

    def __init__(self, examples: int, context: int, threshold: float = 0.0) -> None:
        self.examples, self.context, self.threshold = examples, context, threshold
        self.texts = self.count = 0
        self._sums: Array | None = None

    def read(self, tokens: Array, values: Array, kept: Array | None = None) -> None:
        """Shapes: tokens (texts, time), values (texts, time, units), kept (texts, time)."""
        texts, time, units = values.shape
        if not texts:
            return
        if self._sums is None:
            self._begin(units)
        kept = np.ones((texts, time), bool) if kept is None else kept
        counted = values[kept].astype(np.float64)
        self.count += len(counted)
        assert self._sums is not None
        self._sums += [counted.sum(0), (counted**2).sum(0), (counted > self.threshold).sum(0)]
        here = np.where(kept[..., None], values, -np.inf)
        self._merge(tokens, values, here.argmax(1), here.max(1), kept)
        self.texts += texts

    def _begin(self, units: int) -> None:
        self._sums = np.zeros((3, units))
        shape = (units, self.examples)
        self._best = np.full(shape, -np.inf)
        self._text, self._position = np.full(shape, -1), np.full(shape, -1)
        window = 2 * self.context + 1
        self._tokens = np.full((*shape, window), -1)
        self._around = np.full((*shape, window), np.nan, np.float32)

    def _merge(self, tokens: Array, values: Array, at: Array, top: Array, kept: Array) -> None:
        """Each text's strongest place takes the place of a weaker example."""
        window = np.arange(-self.context, self.context + 1)
        time = tokens.shape[1]
        for text in range(len(tokens)):
            weakest = self._best.argmin(1)
            units = np.flatnonzero(top[text] > self._best[np.arange(len(weakest)), weakest])
            slot, position = weakest[units], at[text, units]
            self._best[units, slot] = top[text, units]
            self._text[units, slot], self._position[units, slot] = self.texts + text, position
            places = position[:, None] + window
            inside = (places >= 0) & (places < time)
            places = np.clip(places, 0, time - 1)
            inside &= kept[text][places]
            self._tokens[units, slot] = np.where(inside, tokens[text][places], -1)
            near = values[text][places, units[:, None]]
            self._around[units, slot] = np.where(inside, near, np.nan)

    def unit(self, unit: int) -> tuple[Example, ...]:
        """Its examples, the strongest first."""
        self._check(unit)
        found = []
        for slot in np.argsort(-self._best[unit], kind="stable"):
            if not np.isfinite(self._best[unit, slot]):
                continue
            tokens, near = self._tokens[unit, slot], self._around[unit, slot]
            inside = np.flatnonzero(tokens >= 0)
            first = int(inside[0])
            found.append(
                Example(
                    float(self._best[unit, slot]),
                    tuple(tokens[inside].tolist()),
                    tuple(near[inside].tolist()),
                    self.context - first,
                    int(self._text[unit, slot]),
                    int(self._position[unit, slot]),
                )
            )
        return tuple(found)

    def _check(self, unit: int) -> None:
        units = 0 if self._sums is None else self._sums.shape[1]
        if not 0 <= unit < units:
            raise IndexRangeError(explain("neurons", f"unit {unit} is not within {units}"))

    def statistics(self) -> dict[str, Array]:
        """For each unit mean, deviation, share of places above the threshold, largest value."""
        if self._sums is None or not self.count:
            raise DataError(explain("neurons", "no tokens were read"))
        mean, square, active = self._sums / self.count
        deviation = np.sqrt(np.maximum(square - mean**2, 0))
        return {"mean": mean, "deviation": deviation, "active": active, "max": self._best.max(1)}


@dataclass(frozen=True)
class Units:
    """Units of one point. Arrays (units,): mean, deviation, active (share of places), max."""

    path: str
    mean: Array
    deviation: Array
    active: Array
    max: Array
    strongest: Strongest

    @property
    def dead(self) -> Array:
        """Units that were never above the threshold. In more text they might be."""
        return np.flatnonzero(self.active == 0)


@shown_as_table
@dataclass(frozen=True)
class Neurons:
    """Units of several points over the same tokens. decode: from tokens to text, for tables."""

    points: tuple[Units, ...]
    tokens: int
    threshold: float
    decode: Callable[[Sequence[int]], str] | None = None

    def __getitem__(self, path: str) -> Units:
        found = [p for p in self.points if p.path == path]
        if not found:
            known = ", ".join(p.path for p in self.points)
            raise PointError(explain("neurons", f"{path!r} was not read, but {known}"))
        return found[0]

    def examples(self, path: str, unit: int) -> tuple[Example, ...]:
        """The strongest examples of a unit, the strongest first."""
        return self[path].strongest.unit(unit)

    def table(self) -> Table:
        """One row for each point."""
        rows = tuple(
            (p.path, len(p.mean), len(p.dead), float(np.median(p.active)), float(p.active.min()),
             float(p.max.max()))
            for p in self.points
        )  # fmt: skip
        columns = ("point", "units", "dead", "active, median", "active, rarest", "largest")
        note = f"Over {self.tokens:,} tokens; active is above {self.threshold:g}, dead never."
        return Table("Units", columns, rows, (note,))

    def examples_table(self, path: str, unit: int) -> Table:
        """The strongest examples of a unit in their context, the strong token in [brackets]."""
        return _examples_table(
            f"{path}, unit {unit}", self.examples(path, unit), self.decode, self[path], unit
        )


def neurons(
    model: Model,
    texts: Iterable[Any],
    at: Patterns = "*feed_forward.hidden",
    *,
    examples: int = 10,
    context: int = 8,
    threshold: float = 0.0,
    ignore: int | None = None,
    decode: Callable[[Sequence[int]], str] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Neurons:
    """The strongest examples and the statistics of every unit at points, over a corpus.

    Shapes: texts yields batches of tokens (texts, time), best of one shape: others are compiled
    anew; points have a last axis of units after batch and time. examples: how many are kept for a
    unit, one a text; context: tokens kept on both sides. threshold: above it a unit is active.
    ignore: a token (padding) whose places count for nothing. on_progress is told the batches read,
    and their number where `texts` has a length (else 0). Errors: PointError, NonFiniteError,
    DataError for no tokens.
    """
    names = [at] if isinstance(at, str) else list(at)

    def step(tokens: Tensor) -> dict[str, Tensor]:
        with no_grad():
            return dict(capture(model, tokens, names))

    look = jit(step)
    found: dict[str, Strongest] = {}
    total = len(texts) if isinstance(texts, Sized) else 0
    for done, batch in enumerate(texts):
        tokens = np.asarray(batch)
        kept = None if ignore is None else tokens != ignore
        for path, value in look(tokens).items():
            strongest = found.setdefault(path, Strongest(examples, context, threshold))
            strongest.read(tokens, _values(path, value.numpy(), tokens), kept)
        if on_progress is not None:
            on_progress(done + 1, total)
    if not found:
        raise DataError(explain("neurons", "there are no texts"))
    rows = tuple(Units(path, **s.statistics(), strongest=s) for path, s in found.items())
    return Neurons(rows, next(iter(found.values())).count, threshold, decode)


def _values(path: str, values: Array, tokens: Array) -> Array:
    if values.ndim != 3 or values.shape[:2] != tokens.shape:
        what = f"{path} is {values.shape}: no units at each of the tokens {tokens.shape}"
        remedy = 'use a point of axes (batch, time, units), as "*feed_forward.hidden"'
        raise PointError(explain("neurons", what, remedy=remedy))
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        text, position, unit = bad[0].tolist()
        what = f"{path} is {values[tuple(bad[0])]} in text {text} at {position}, unit {unit}"
        raise NonFiniteError(explain("neurons", what))
    return values


def _examples_table(
    title: str,
    examples: Sequence[Example],
    decode: Callable[[Sequence[int]], str] | None,
    units: Units,
    unit: int,
) -> Table:
    write = decode or (lambda tokens: " ".join(map(str, tokens)))
    rows = []
    for e in examples:
        before, after = e.tokens[: e.place], e.tokens[e.place + 1 :]
        parts = (write(before), f"[{write([e.tokens[e.place]])}]", write(after))
        text = ("" if decode else " ").join(p for p in parts if p)
        rows.append((e.activation, text.replace("\n", "⏎"), e.text, e.position))
    note = f"Active at {units.active[unit]:.2%} of tokens, mean {units.mean[unit]:.3g}."
    columns = ("activation", "context", "text", "position")
    return Table(title, columns, tuple(rows), (note.replace("%", " %"),))
