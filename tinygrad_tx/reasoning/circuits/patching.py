"""Activation patching: values of one run put into another, to see where the difference is carried.

Denoising puts clean values into the corrupted run: what is enough to bring the behaviour back.
Noising puts corrupted values into the clean run: what is needed for it. The two differ where parts
back each other up (Heimersheim and Nanda 2024, section 2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import ShapeError, explain
from tinygrad_tx.jit import jit
from tinygrad_tx.reasoning.change import replace
from tinygrad_tx.reasoning.circuits.metric import (
    Metric,
    aligned_pair,
    measured,
    recovered,
    recovery,
)
from tinygrad_tx.reasoning.circuits.patching_picture import heat_map
from tinygrad_tx.reasoning.look import Model, Patterns, capture, gradients, look
from tinygrad_tx.reasoning.point import Point
from tinygrad_tx.reasoning.sweep import MEMORY, Chunks, sweep
from tinygrad_tx.table import Table, shown_as_table
from tinygrad_tx.tensor import Tensor, as_tensor, no_grad, stack, where
from tinygrad_tx.viz.render import Plot

__all__ = ["Patching", "activation_patching", "attribution_patching"]

Array = np.ndarray[Any, Any]
Inputs = tuple[Array, ...]

PER: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "point": ("blocks.*.residual_*", "", ()),
    "position": ("blocks.*.residual_before", "positions", ("time", "queries")),
    "head": ("blocks.*.attention.context", "heads", ("heads", "kv_heads")),
    "unit-group": ("blocks.*.feed_forward.hidden", "units", ("width", "units", "vocab")),
}
"""What a point is cut into: where if nothing is said, the word in `Where`, and the axes."""

DIRECTIONS = ("denoising", "noising")


@shown_as_table
@dataclass(frozen=True)
class Patching:
    """A metric of runs into which parts of another run were put, one at a time.

    values (points, parts, prompts): the metric of each run. clean, corrupted (prompts,): of the
    runs as they are. exact: measured by runs; false for first-order estimates.
    """

    points: tuple[str, ...]
    parts: tuple[str, ...]
    values: Array
    clean: Array
    corrupted: Array
    per: str
    direction: str
    exact: bool

    @property
    def recovery(self) -> Array:
        """(points, parts). Denoising: the share that came back, 0 as corrupted and 1 as clean.
        Noising: the share that was lost, 0 as clean and 1 as corrupted."""
        return recovered(self.values, *self._ends)

    @property
    def _ends(self) -> tuple[Array, Array]:
        ends = self.corrupted, self.clean
        return ends if self.direction == "denoising" else ends[::-1]

    def table(self, most: int = 20) -> Table:
        """The runs that moved most, with 95 % intervals over prompts drawn again."""
        shares = self.recovery
        order = np.argsort(-np.abs(shares), axis=None, kind="stable")[:most]
        rows = []
        for point, part in zip(*np.unravel_index(order, shares.shape), strict=True):
            found = recovery(self.values[point, part], *self._ends)
            bounds = (None if np.isnan(b) else b for b in (found.low, found.high))
            rows.append((self.points[point], self.parts[part], found.value, *bounds))
        what = "recovered" if self.direction == "denoising" else "lost"
        name = "Activation patching" if self.exact else "Attribution patching"
        notes = [f"{what}: share of the metric between corrupted and clean prompts."]
        if not self.exact:
            notes.append(
                "First-order estimates: check the ones that matter with activation_patching."
            )
        columns = ("point", self.per, what, "low", "high")
        return Table(f"{name} ({self.direction})", columns, tuple(rows), tuple(notes))

    def picture(self, labels: Sequence[str] | None = None, lang: str = "en") -> Plot:
        """Points by parts. labels: of the columns, as the tokens of a prompt. lang: "en", "zh"."""
        columns = list(self.parts if labels is None else labels)
        if len(columns) != len(self.parts):
            what = f"{len(columns)} labels for {len(self.parts)} columns"
            raise ShapeError(explain("picture", what))
        title = "activation patching" if self.exact else "attribution patching"
        return Plot(
            lambda format: heat_map(self.recovery, self.points, columns, title, format, lang)
        )


def activation_patching(
    model: Model,
    clean: Any,
    corrupted: Any,
    metric: Metric,
    at: Patterns | None = None,
    per: str = "position",
    *,
    direction: str = "denoising",
    group: int = 32,
    memory: int = MEMORY,
    on_plan: Callable[[Chunks], None] | None = None,
    on_chunk: Callable[[int, int], None] | None = None,
) -> Patching:
    """The metric when each part of each point is what it is on the other prompts. Any model.

    clean and corrupted: inputs of one shape (a tuple for several arguments). metric: see
    `LogitDifference`. at: paths or globs; if not given, the residual stream before each block (per
    "point" and "position"), what each head read, or the feed-forwards' hidden units. per: "point",
    "position", "head" or "unit-group", of `group` units. All runs stand side by side in the batch
    of one program, as many as `memory` bytes hold (see `sweep`).

    Limits: what comes back shows where the difference between these prompts is carried, not how it
    is computed; a part may bring the metric back in a way that the model never takes.
    Errors: ShapeError for prompts of different lengths or points without such parts, PointError,
    DataError. Source: Vig et al. 2020; Meng et al. 2022; Heimersheim and Nanda 2024.
    """
    at = _checked(at, per, direction)
    first, second = _inputs(clean, corrupted)
    base, source = (second, first) if direction == "denoising" else (first, second)
    with no_grad():
        found = capture(model, source, at)
        given = [[as_tensor(a) for a in inputs] for inputs in (first, second)]
        ends = [np.asarray(measured(metric, model(*tensors)).numpy()) for tensors in given]
    _told_apart(*ends)
    cuts, parts = _cuts(found.points, per, group)
    keyword = PER[per][1]
    runs = [
        {path: replace(value, **({keyword: cut} if keyword else {}))}
        for path, value in found.numpy().items()
        for cut in cuts
    ]
    options: dict[str, Any] = {"memory": memory, "on_plan": on_plan, "on_chunk": on_chunk}
    values = sweep(model, base, runs, lambda output, *_: measured(metric, output), **options)
    values = values.reshape((len(found), len(cuts), -1))
    return Patching(tuple(found), parts, values, ends[0], ends[1], per, direction, True)


def attribution_patching(
    model: Model,
    clean: Any,
    corrupted: Any,
    metric: Metric,
    at: Patterns | None = None,
    per: str = "position",
    *,
    direction: str = "denoising",
    group: int = 32,
) -> Patching:
    """What `activation_patching` measures, to first order, for all parts of all points at once:

        metric(patched) = metric(base) + (source - base) . dmetric / dbase

    Cost: two forward passes and one backward pass, however many points there are. Limits: wrong
    where the metric bends between the two runs: at whole points of the stream, in saturated
    softmaxes, across norms. Errors and arguments: as in `activation_patching`.
    Source: Nanda 2023; Syed et al. 2023, equation 1.
    """
    at = _checked(at, per, direction)
    first, second = _inputs(clean, corrupted)
    base, source = (second, first) if direction == "denoising" else (first, second)
    known: dict[str, Point] = {}

    def step(given: list[Any], other: list[Any]) -> tuple[Tensor, Tensor, Tensor]:
        with no_grad():
            there = look(model, tuple(other), at)
            here = look(model, tuple(given), at)
            values = measured(metric, here.output)
            slopes = gradients(values.sum(), here)
            known.update(here.points)
            cuts, _ = _cuts(known, per, group)
            moved = []
            for path, x in here.items():
                # A score that is minus infinity in both runs (a key that is not seen) moves by 0.
                change = where(x == there[path], 0.0, there[path] - x).astype(x.dtype)
                moved.append(_by_part(change * slopes[path], known[path], per, cuts))
            return values, measured(metric, there.output), stack(moved)

    here, there, moved = (np.asarray(t.numpy()) for t in jit(step)(list(base), list(source)))
    ends = (there, here) if direction == "denoising" else (here, there)
    _told_apart(*ends)
    _, parts = _cuts(known, per, group)
    return Patching(tuple(known), parts, here + moved, *ends, per, direction, False)


def _checked(at: Patterns | None, per: str, direction: str) -> Patterns:
    if per not in PER:
        raise ValueError(f"patching: per is {per!r}, not one of {', '.join(PER)}.")
    if direction not in DIRECTIONS:
        raise ValueError(f"patching: direction is {direction!r}, not {' or '.join(DIRECTIONS)}.")
    return PER[per][0] if at is None else at


def _inputs(clean: Any, corrupted: Any) -> tuple[Inputs, Inputs]:
    """Both as tuples of arrays of the same shapes. Errors: ShapeError."""
    if not isinstance(clean, tuple) and not isinstance(corrupted, tuple):
        first, second = aligned_pair(clean, corrupted, "patching")
        return (first,), (second,)
    both = [
        tuple(np.asarray(as_tensor(a).numpy()) for a in (x if isinstance(x, tuple) else (x,)))
        for x in (clean, corrupted)
    ]
    shapes = [[a.shape for a in arrays] for arrays in both]
    if shapes[0] != shapes[1]:
        what = f"clean inputs are {shapes[0]}, corrupted ones {shapes[1]}"
        remedy = "position i of one must stand for position i of the other"
        raise ShapeError(explain("patching", what, remedy=remedy))
    return both[0], both[1]


def _told_apart(clean: Array, corrupted: Array) -> None:
    """Errors: DataError, NonFiniteError."""
    recovered(clean, corrupted, clean)


def _cuts(
    points: Mapping[str, Point], per: str, group: int
) -> tuple[list[list[int]], tuple[str, ...]]:
    """The indices of each part along its axis, and the names of the parts. Errors: ShapeError."""
    axes = PER[per][2]
    if not axes:
        return [[]], ("all",)
    sizes = {}
    for point in points.values():
        axis = point.axis(*axes)
        if axis is None:
            what = f"{point} has no axis for {per}"
            raise ShapeError(
                explain("patching", what, remedy="choose other points, or another per")
            )
        sizes[point.path] = point.shape[axis]
    if len(set(sizes.values())) > 1:
        what = f"the points have different numbers of parts: {sizes}"
        raise ShapeError(explain("patching", what, remedy="patch them in calls of their own"))
    size = next(iter(sizes.values()))
    if per != "unit-group":
        return [[i] for i in range(size)], tuple(map(str, range(size)))
    if group < 1:
        raise ValueError(f"patching: group is {group}, not at least 1.")
    cuts = [list(range(i, min(i + group, size))) for i in range(0, size, group)]
    return cuts, tuple(f"{cut[0]}–{cut[-1]}" for cut in cuts)


def _by_part(x: Tensor, point: Point, per: str, cuts: list[list[int]]) -> Tensor:
    """The sums over each part, of each prompt: (parts, prompts)."""
    axis = point.axis(*PER[per][2])
    if point.axis("batch") != 0:
        what = f"{point} has no axis of prompts"
        raise ShapeError(explain("patching", what, remedy="choose points of each prompt"))
    if axis is None:
        return x.sum(axis=tuple(range(1, x.ndim))).reshape((1, -1))
    rest = tuple(i for i in range(1, x.ndim) if i != axis)
    summed = x.sum(axis=rest) if rest else x  # (prompts, size)
    return stack([summed[:, cut[0] : cut[-1] + 1].sum(axis=-1) for cut in cuts])
