"""Carriers: the fewest heads or units without which a model has a skew no more; an ablation as a
control. Found by trying: a sweep over all of them, then over each beside those already taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_tx.errors import DataError, GraphError, NonFiniteError, explain
from tinygrad_tx.models.generation import Causal
from tinygrad_tx.reasoning.ablate import ablations
from tinygrad_tx.reasoning.change import Change, replace
from tinygrad_tx.reasoning.changed import Changed
from tinygrad_tx.reasoning.look import Patterns, points
from tinygrad_tx.reasoning.point import Point, matching
from tinygrad_tx.reasoning.sweep import sweep
from tinygrad_tx.table import Table, shown_as_table
from tinygrad_tx.tensor import Tensor

__all__ = ["Carriers", "find_carriers"]

Array = np.ndarray[Any, Any]
Part = tuple[str, int]
"""A path and the number of a head or unit there."""
HEADS = "blocks.*.attention.context"


@shown_as_table
@dataclass(frozen=True)
class Carriers:
    """The parts of a model that carry a skew, found by taking them away.

    parts: in the order in which they were taken. skew: with 0, 1, 2, ... of them ablated, so one
    longer. single: the skew with each candidate alone ablated, in the order of `candidates`.
    """

    parts: tuple[Part, ...]
    skew: tuple[float, ...]
    candidates: tuple[Part, ...]
    single: Array
    instead: dict[str, Change] = field(repr=False)
    names: dict[str, str] = field(repr=False)

    def fewest(self, target: float) -> tuple[Part, ...]:
        """As few as bring the skew to `target` or below; those with the least skew if none do."""
        enough = [i for i, s in enumerate(self.skew) if s <= target]
        return self.parts[: enough[0] if enough else int(np.argmin(self.skew))]

    def changes(self, parts: Sequence[Part]) -> dict[str, Change]:
        """What ablates these parts, by path."""
        return _changes(parts, self.instead, self.names)

    def ablated(self, model: Causal, target: float) -> Changed:
        """`model` without the fewest carriers. Errors: DataError where none lowers the skew."""
        parts = self.fewest(target)
        if not parts:
            what = f"no part lowers the skew of {self.skew[0]:.4g}"
            raise DataError(explain("find_carriers", what, remedy="look at other points"))
        return Changed(model, self.changes(parts))

    def table(self) -> Table:
        rows = [(0, "as it is", self.skew[0])]
        taken = enumerate(zip(self.parts, self.skew[1:], strict=True))
        rows += [(i + 1, f"{path} {number}", s) for i, ((path, number), s) in taken]
        note = f"taken one by one of {len(self.candidates)}; each row without all above as well"
        return Table(
            "What carries the skew", ("ablated", "part", "skew left"), tuple(rows), (note,)
        )


def find_carriers(
    model: Any,
    tokens: Any,
    measure: Callable[[Tensor, Tensor], Tensor],
    skew: Callable[[Array], float] | None = None,
    at: Patterns = HEADS,
    *,
    how: str = "mean",
    most: int = 4,
    pool: int = 16,
    on_progress: Callable[[int, int], None] | None = None,
) -> Carriers:
    """Up to `most` heads or units whose ablation lowers the skew most, taken greedily.

    measure(logits, tokens): a number for each example, as the log-odds of two words. skew: how
    large the examples' numbers are together; mean |number| if not given. at: points with an axis of
    heads or units. how: as in `ablate`. pool: only so many of the best singles are tried further.
    Greedy finds no pair that helps only together. An ablated part also did other work: what that
    costs must be measured beside it. Errors: PointError, GraphError, NonFiniteError.
    Source: Vig et al. 2020 (which heads mediate gender bias); Ma et al. 2023 (pruning them).
    """
    tokens = np.asarray(tokens, np.int64)
    size = skew or (lambda values: float(np.abs(values).mean()))
    known = points(model, tokens)
    patterns = [at] if isinstance(at, str) else list(at)
    paths = matching(patterns, known)
    names = {path: _axis(known[path]) for path in paths}
    candidates = [(p, i) for p in paths for i in range(_count(known[p], names[p]))]
    instead = ablations(model, tokens, patterns, how)
    search = _Search(model, tokens, measure, size, instead, names)
    plain, *single = search.skews([(), *((c,) for c in candidates)])
    best = [candidates[i] for i in np.argsort(single, kind="stable")[:pool]]
    parts, values = search.taken(best, plain, most, on_progress)
    return Carriers(
        tuple(parts), tuple(values), tuple(candidates), np.array(single), instead, names
    )


@dataclass(frozen=True)
class _Search:
    model: Any
    tokens: Array
    measure: Callable[[Tensor, Tensor], Tensor]
    size: Callable[[Array], float]
    instead: dict[str, Change]
    names: dict[str, str]

    def taken(
        self,
        left: list[Part],
        plain: float,
        most: int,
        on_progress: Callable[[int, int], None] | None,
    ) -> tuple[list[Part], list[float]]:
        """The parts taken one after the other, and the skew before and after each."""
        parts: list[Part] = []
        values = [plain]
        while len(parts) < most and left:
            tried = self.skews([(*parts, part) for part in left])
            best = int(np.argmin(tried))
            if not tried[best] < values[-1]:
                break
            parts.append(left.pop(best))
            values.append(tried[best])
            if on_progress is not None:
                on_progress(len(parts), most)
        return parts, values

    def skews(self, sets: Sequence[Sequence[Part]]) -> list[float]:
        """The skew with each set ablated."""
        runs = [_changes(parts, self.instead, self.names) for parts in sets]
        values = sweep(self.model, self.tokens, runs, self.measure).astype(np.float64)
        if not np.isfinite(values).all():
            what = f"{int((~np.isfinite(values)).sum())} measured numbers are not finite"
            raise NonFiniteError(explain("find_carriers", what))
        return [self.size(v) for v in values]


def _changes(
    parts: Sequence[Part], instead: dict[str, Change], names: dict[str, str]
) -> dict[str, Change]:
    found: dict[str, Change] = {}
    for path in dict.fromkeys(path for path, _ in parts):
        numbers = [i for p, i in parts if p == path]
        where: dict[str, Any] = {names[path]: numbers}
        found[path] = replace(instead[path].shift, **where)
    return found


def _axis(point: Point) -> str:
    for name in ("heads", "units"):
        if name in point.axes:
            return name
    what = f"{point} has neither heads nor units"
    remedy = "use attention.context or feed_forward.hidden"
    raise GraphError(explain("find_carriers", what, remedy=remedy))


def _count(point: Point, axis: str) -> int:
    return point.shape[point.axes.index(axis)]
