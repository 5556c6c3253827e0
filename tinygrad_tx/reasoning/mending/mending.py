"""Mending: controls tried on one model, each measured by the same audit, with what it costs."""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_tx.errors import CheckpointError, DataError, explain
from tinygrad_tx.nn import Module
from tinygrad_tx.reasoning.audits.audit import Audit, Check, Effect, bias_audit, compare_audits
from tinygrad_tx.reasoning.mending.edit import Edit, fingerprint
from tinygrad_tx.reasoning.mending.side_effects import SideEffect
from tinygrad_tx.table import Table, shown_as_table
from tinygrad_tx.tasks.task import Figure, bootstrap

__all__ = ["Control", "Cost", "Mending", "Trial", "mend"]

Array = np.ndarray[Any, Any]
Control = Callable[[Any], Any]
"""From the model to a changed one (`Changed`, `Constrained`), or to an `Edit` or several."""
LEAST = 3
"""Fewer numbers than this give no interval."""
ROUNDING = 1e-5
"""Changes below this are those of float32, computed in another order."""


@dataclass(frozen=True)
class Cost:
    """One side effect: before, after, and the mean of the examples' differences, each with its
    interval where there are examples enough. is_harm: whether the difference goes the wrong way and
    its interval leaves out 0."""

    before: float
    after: float
    change: float
    figure: Figure | None
    is_harm: bool
    unit: str


@dataclass(frozen=True)
class Trial:
    """A control that was tried. skew: what is left of the effects to be mended, the mean distance
    from no difference. kept: how far the effects that should stay have moved, or None. changed:
    numbers among the parameters that are others. seconds: of making and applying it."""

    name: str
    audit: Audit
    skew: float
    interval: Figure | None
    kept: float | None
    costs: Mapping[str, Cost]
    changed: int
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def harms(self) -> tuple[str, ...]:
        return tuple(name for name, cost in self.costs.items() if cost.is_harm)


@shown_as_table
@dataclass(frozen=True)
class Mending:
    """Controls on a model side by side: what each mends and what it costs.

    before: the model as it is. trials: each control, in the order given.
    """

    before: Trial
    trials: tuple[Trial, ...]
    mended: tuple[str, ...]
    kept: tuple[str, ...]
    parameters: int = field(default=0)

    def __getitem__(self, name: str) -> Trial:
        for trial in self.trials:
            if trial.name == name:
                return trial
        what = f"no control {name!r}"
        raise DataError(explain("Mending", what, remedy=f"tried: {[t.name for t in self.trials]}"))

    @property
    def best(self) -> Trial:
        """The control that leaves the least skew, whatever it costs: look at `harms`."""
        return min(self.trials, key=lambda t: t.skew)

    def least_harm(self, skew: float) -> Trial | None:
        """Of those that leave no more than `skew`, one that harms fewest, moves least; if any."""
        enough = [t for t in self.trials if t.skew <= skew]
        return min(enough, key=lambda t: (len(t.harms), t.kept or 0.0), default=None)

    def table(self) -> Table:
        """Before, what was done, after, what it cost."""
        columns = ("control", "skew left", "low", "high", "kept moved", *self.before.costs,
                   "harms", "numbers changed", "seconds")  # fmt: skip
        rows = []
        for t in (self.before, *self.trials):
            bounds = (None, None) if t.interval is None else (t.interval.low, t.interval.high)
            costs = (c.after for c in t.costs.values())
            harms = ", ".join(t.harms) or ("–" if t is self.before else "none found")
            rows.append((t.name, t.skew, *bounds, t.kept, *costs, harms, t.changed, t.seconds))
        notes = (
            f"skew left: mean |effect| in nats over {len(self.mended)} effects, with a 95 % "
            f"interval over them; kept moved: mean |change| of {len(self.kept)} that should stay",
            "harms: side effects that got worse, their 95 % interval leaving out 0",
            f"{self.parameters:,} parameters; after each control the model was as before, bit for "
            "bit",
        )
        return Table("Controls", columns, tuple(rows), notes)

    def costs(self) -> Table:
        """Every side effect of every control, with intervals."""
        rows = []
        for t in self.trials:
            for name, c in t.costs.items():
                bounds = (None, None) if c.figure is None else (c.figure.low, c.figure.high)
                rows.append((t.name, name, c.before, c.after, c.change, *bounds, c.unit))
        columns = ("control", "side effect", "before", "after", "change", "low", "high", "unit")
        note = "low, high: 95 % interval of the change, over examples measured before and after"
        return Table("What the controls cost", columns, tuple(rows), (note,))

    def compared(self, name: str) -> Table:
        """The audit before and after one control, effect by effect."""
        return compare_audits(self.before.audit, self[name].audit, f"Before and after: {name}")


def mend(
    model: Module,
    checks: Sequence[Check],
    controls: Mapping[str, Control],
    side_effects: Mapping[str, SideEffect],
    *,
    mended: str | Sequence[str] = "*",
    kept: str | Sequence[str] = (),
    on_progress: Callable[[int, int], None] | None = None,
) -> Mending:
    """Each control put on `model`, the audit and the side effects measured again, taken back.

    checks: as in `bias_audit`. controls: by name, what makes a changed model or an `Edit` (or a
    sequence of edits) of it. mended: globs of effects whose size should become 0. kept: globs of
    effects that are no skew and should stay, as the pronouns of names. An audit says nothing of
    what its checks do not ask; a control chosen on the same prompts looks better than it is.
    on_progress gets (controls done, all). Errors: DataError for no effect, CheckpointError where a
    control did not leave the model as it was.
    """
    audit = bias_audit(model, checks)
    names = [e.name for e in audit]
    wanted, stay = _chosen(mended, names, "mended"), _chosen(kept, names, "kept")
    values = {name: _measured(effect, model, name) for name, effect in side_effects.items()}
    costs = {n: _cost(values[n], values[n], side_effects[n]) for n in values}
    first = Trial("as it is", audit, *_skew(audit, wanted), None, costs, 0, 0.0)
    bench = _Bench(model, checks, side_effects, first, values, wanted, stay)
    trials = []
    for done, (name, control) in enumerate(controls.items()):
        trials.append(bench.tried(name, control))
        if on_progress is not None:
            on_progress(done + 1, len(controls))
    total = sum(p.size for p in model.parameters())
    return Mending(first, tuple(trials), wanted, stay, total)


@dataclass(frozen=True)
class _Bench:
    """What every control is measured with. values: of the side effects before, by name."""

    model: Module
    checks: Sequence[Check]
    side_effects: Mapping[str, SideEffect]
    before: Trial
    values: Mapping[str, Array]
    wanted: tuple[str, ...]
    stay: tuple[str, ...]

    def tried(self, name: str, control: Control) -> Trial:
        """The control put in, measured and taken back. Errors: CheckpointError."""
        bits = fingerprint(self.model)
        began = time.perf_counter()
        made = control(self.model)
        edits = _edits(made)
        other = made if edits is None else self.model
        edits = _applied(edits or [])
        seconds = time.perf_counter() - began
        try:
            audit = bias_audit(other, self.checks)
            costs = {
                n: _cost(self.values[n], _measured(e, other, n), e)
                for n, e in self.side_effects.items()
            }
        finally:
            for edit in reversed(edits):
                edit.take_back()
        _check_as_before(self.model, bits, name)
        moved = _moved(self.before.audit, audit, self.stay)
        changed = sum(edit.changed for edit in edits)
        notes = tuple(note for edit in edits for note in edit.notes)
        skew = _skew(audit, self.wanted)
        return Trial(name, audit, *skew, moved, costs, changed, seconds, notes)


def _edits(made: Any) -> list[Edit] | None:
    """The edits that a control made; None where it made a model."""
    if isinstance(made, Edit):
        return [made]
    return list(made) if isinstance(made, (list, tuple)) else None


def _applied(edits: list[Edit]) -> list[Edit]:
    """All edits put in, or none of them. Errors: CheckpointError."""
    for number, edit in enumerate(edits):
        try:
            edit.apply()
        except CheckpointError:
            for other in reversed(edits[:number]):
                other.take_back()
            raise
    return edits


def _check_as_before(model: Module, bits: dict[str, bytes], name: str) -> None:
    now = fingerprint(model)
    other = [p for p in bits.keys() | now.keys() if bits.get(p) != now.get(p)]
    if other:
        what = f"{name!r} left {', '.join(sorted(other)[:3])} changed"
        remedy = "return an Edit, which is taken back, or a Changed model"
        raise CheckpointError(explain("mend", what, remedy=remedy))


def _chosen(patterns: str | Sequence[str], names: Sequence[str], what: str) -> tuple[str, ...]:
    given = [patterns] if isinstance(patterns, str) else list(patterns)
    for pattern in given:
        if not fnmatch.filter(names, pattern):
            found = f"{what} {pattern!r} names no effect"
            raise DataError(explain("mend", found, remedy=f"the audit has {list(names)}"))
    return tuple(n for n in names if any(fnmatch.fnmatchcase(n, p) for p in given))


def _skew(audit: Audit, names: Sequence[str]) -> tuple[float, Figure | None]:
    """Mean distance from no difference, with its interval over effects."""
    sizes = [s for n in names if (s := _size(audit[n])) is not None]
    if not sizes:
        return float("nan"), None
    figure = bootstrap(np.array(sizes)) if len(sizes) >= LEAST else None
    return float(np.mean(sizes)), figure


def _size(effect: Effect) -> float | None:
    return None if effect.value is None else abs(effect.value - effect.null)


def _moved(before: Audit, after: Audit, names: Sequence[str]) -> float | None:
    pairs = [(before[n].value, after[n].value) for n in names]
    known = [abs(a - b) for a, b in pairs if a is not None and b is not None]
    return float(np.mean(known)) if known else None


def _measured(effect: SideEffect, model: Any, name: str) -> Array:
    values = np.asarray(effect.measure(model), np.float64)
    if values.ndim != 1 or not values.size:
        what = f"the side effect {name!r} gave {values.shape}, not a number for each example"
        raise DataError(explain("mend", what))
    return values


def _cost(before: Array, after: Array, effect: SideEffect) -> Cost:
    if before.shape != after.shape:
        what = f"a side effect gave {before.shape} numbers before and {after.shape} after"
        raise DataError(explain("mend", what, remedy="measure the same examples"))
    difference = after - before
    is_known = len(difference) >= LEAST and bool(np.isfinite(difference).all())
    figure = bootstrap(difference) if is_known else None
    sign = 1 if effect.better == "less" else -1
    least = ROUNDING * max(1.0, float(np.abs(before).mean()))
    worse = figure is not None and (figure.low if sign > 0 else -figure.high) > least
    broken = not np.isfinite(difference).all()
    change = float(difference.mean())
    is_harm = not effect.is_implied and (worse or bool(broken))
    return Cost(float(before.mean()), float(after.mean()), change, figure, is_harm, effect.unit)
