"""Probes: whether a property can be read off a model's activations, and how easily.

A probe that reads well has shown that the property can be decoded, not that the model uses it: for
that, intervene. Control tasks and codelengths say how much of the score is the probe's own doing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Picture

from tinygrad_tx.errors import DataError, NonFiniteError, PointError, ShapeError, explain
from tinygrad_tx.reasoning.look import Activations
from tinygrad_tx.reasoning.trust.decoders import Decoder, fit_decoder
from tinygrad_tx.reasoning.trust.intervals import bounds, interval, resampled
from tinygrad_tx.table import Table, shown_as_table
from tinygrad_tx.tasks.picture import bars, curves, levels, panels
from tinygrad_tx.tasks.task import Figure

__all__ = ["FRACTIONS", "Probe", "Probes", "probe"]

Array = np.ndarray[Any, Any]

FRACTIONS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.0625, 0.125, 0.25, 0.5, 1.0)
"""Where the data are cut for the online code (Voita and Titov 2020, section 3.2)."""


@dataclass(frozen=True)
class Probe:
    """What one point gave. score: accuracy, or for numbers the share of variance explained (R²).

    control: the score on random labels of words; selectivity: score less control. codelength: bits
    of the online code; compression: of a uniform code, divided by it. converged: whether training
    of the probe came to an end. decoder: the trained probe itself, for inputs (examples, width).
    """

    path: str
    score: Figure
    decoder: Decoder
    control: Figure | None = None
    selectivity: Figure | None = None
    codelength: float | None = None
    compression: float | None = None

    @property
    def converged(self) -> bool:
        return self.decoder.converged


@shown_as_table
@dataclass(frozen=True)
class Probes:
    """Probes of several points on the same examples, in the order of computation.

    baseline: what the commonest label (or the mean) of the training part scores on the rest.
    """

    probes: tuple[Probe, ...]
    kind: str
    baseline: float
    trained: int
    held_out: int
    is_regression: bool

    def __getitem__(self, path: str) -> Probe:
        found = [p for p in self.probes if p.path == path]
        if not found:
            known = ", ".join(p.path for p in self.probes)
            raise PointError(explain("probes", f"{path!r} was not probed, but {known}"))
        return found[0]

    @property
    def best(self) -> Probe:
        """The one with the highest score."""
        return max(self.probes, key=lambda p: p.score.value)

    def table(self) -> Table:
        name = "R²" if self.is_regression else "accuracy"
        rows = [
            (p.path, p.score.value, bounds(p.score), p.control and p.control.value,
             p.selectivity and p.selectivity.value, bounds(p.selectivity), p.codelength,
             p.compression, p.converged)
            for p in self.probes
        ]  # fmt: skip
        columns = (
            "point", name, "95 % interval", "control", "selectivity", "its interval",
            "codelength (bits)", "compression", "converged",
        )  # fmt: skip
        notes = [
            f"{self.kind} probes: trained on {self.trained} examples, scored on {self.held_out}; "
            f"baseline {self.baseline:.4g}. That something can be read does not say that the model "
            "uses it."
        ]
        if not self.is_regression and all(p.control is None for p in self.probes):
            notes.append("No control task: give the words, types=tokens.")
        return Table("Probes", columns, tuple(rows), tuple(notes))

    def picture(self) -> Picture:
        """Scores, controls and selectivity by point; compression beside it where measured."""
        is_coded = any(p.compression is not None for p in self.probes)
        picture, axes = panels(2 if is_coded else 1)
        places = range(len(self.probes))
        name = "R²" if self.is_regression else "accuracy"
        lines: dict[str, dict[float, Figure | float]] = {
            name: dict(zip(places, (p.score for p in self.probes), strict=True))
        }
        for label, key in (("control task", "control"), ("selectivity", "selectivity")):
            known: list[Figure | None] = [getattr(p, key) for p in self.probes]
            if all(v is not None for v in known):
                lines[label] = {i: v for i, v in enumerate(known) if v is not None}
        curves(axes[0], lines)
        levels(axes[0], {"baseline": self.baseline})
        axes[0].set_xticks(list(places), [p.path for p in self.probes], rotation=90, fontsize=7)
        if is_coded:
            bars(axes[1], [p.path for p in self.probes], [p.compression or 0 for p in self.probes])
            axes[1].set_xlabel("compression (1: no better than a uniform code)")
        return picture


def probe(
    activations: Activations | Mapping[str, Any] | Array,
    labels: Any,
    *,
    kind: str = "linear",
    types: Any = None,
    groups: Any = None,
    penalty: float = 1e-3,
    hidden: int = 32,
    held_out: float = 0.3,
    code: bool = True,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Probes:
    """How well `labels` can be read off what was captured at each point.

    Shapes: activations (batch, width) or (batch, time, width), as `capture` gives them, and labels
    of the leading sizes: integers are classes (negative ones are left out), floats are numbers
    (NaN is left out). Heads are joined. types: a word for each label, as the tokens, for the
    control task: every type gets one random label from the distribution of labels, which a probe
    can only learn by heart. groups: a number for each label; examples of one group are never split
    between training and scoring, and are resampled together. Texts are groups if not given.

    kind: "linear" (softmax regression, or ridge regression in closed form) or "mlp" (one layer of
    `hidden` tanh units), both with an L2 `penalty`, on inputs scaled by the training part. code:
    whether the online code is measured, which trains about ten more probes on smaller parts; the
    first part is sent in a uniform code.

    Errors: ShapeError, DataError for fewer than two classes or groups, NonFiniteError.
    Source: Hewitt and Liang 2019 (control tasks, selectivity); Voita and Titov 2020 (online code).
    """
    if kind not in ("linear", "mlp"):
        raise ValueError(explain("probe", f"kind is {kind!r}", remedy='use "linear" or "mlp"'))
    labels = np.asarray(labels)
    inputs = _inputs(activations, labels)
    known = ~np.isnan(labels) if labels.dtype.kind == "f" else labels >= 0
    groups = _beside(groups, labels, _texts(labels))[known]
    split = _split(labels[known], groups, held_out, seed)
    control = (
        None if types is None else _control(_beside(types, labels, labels)[known], split, seed)
    )
    found: list[Probe] = []
    for done, (path, x) in enumerate(inputs.items()):
        x = x[known]
        _check_finite(path, x)
        fit = _Fit(kind, penalty, hidden, seed)
        found.append(_probed(path, x, split, control, fit, code))
        if on_progress is not None:
            on_progress(done + 1, len(inputs))
    return Probes(
        tuple(found), kind, split.baseline(), len(split.train), len(split.test), split.classes == 0
    )


@dataclass(frozen=True)
class _Split:
    """Labels as 0..classes-1 (classes 0: numbers), their groups, and which rows are for what."""

    labels: Array
    groups: Array
    classes: int
    train: Array
    test: Array

    def baseline(self) -> float:
        train, test = self.labels[self.train], self.labels[self.test]
        if not self.classes:
            return _explained(np.full(len(test), train.mean()), test)
        return float((test == np.bincount(train).argmax()).mean())


@dataclass(frozen=True)
class _Fit:
    kind: str
    penalty: float
    hidden: int
    seed: int

    def __call__(self, x: Array, y: Array, classes: int) -> Decoder:
        return fit_decoder(x, y, classes, self.kind, self.penalty, self.hidden, self.seed)


def _probed(
    path: str, x: Array, split: _Split, control: _Split | None, fit: _Fit, code: bool
) -> Probe:
    groups = split.groups[split.test]
    decoder = fit(x[split.train], split.labels[split.train], split.classes)
    given, true = decoder(x[split.test]), split.labels[split.test]
    if not split.classes:

        def explained(rows: Array) -> float:
            return _explained(given[rows], true[rows])

        return Probe(path, resampled(explained, len(true), groups), decoder)
    right = (given.argmax(-1) == true).astype(np.float64)
    result = Probe(path, interval(right, groups), decoder)
    if control is not None:
        random = fit(x[control.train], control.labels[control.train], control.classes)
        by_heart = random(x[control.test]).argmax(-1) == control.labels[control.test]
        selective = interval(right - by_heart, groups)
        result = replace(result, control=interval(by_heart, groups), selectivity=selective)
    if not code:
        return result
    bits, uniform = _online_code(x, split, fit)
    return replace(result, codelength=bits, compression=uniform / bits)


def _online_code(x: Array, split: _Split, fit: _Fit) -> tuple[float, float]:
    """Bits to send all labels when each part is coded by a probe trained on those before it.

    L = t1 log2 K - Σ_i log2 p_i(y in (t_i, t_i+1])     (Voita and Titov 2020, eq. 3)
    """
    order = np.concatenate([split.train, split.test])
    x, labels, count = x[order], split.labels[order], len(order)
    # A first part of fewer than two labels for each class teaches nothing.
    least = min(count, 2 * split.classes)
    cuts = sorted({max(least, round(f * count)) for f in FRACTIONS})
    bits = cuts[0] * math.log2(split.classes)
    for start, stop in pairwise(cuts):
        logits = fit(x[:start], labels[:start], split.classes)(x[start:stop])
        chosen = np.take_along_axis(logits, labels[start:stop, None], -1)[:, 0]
        bits += float((np.logaddexp.reduce(logits, -1) - chosen).sum()) / math.log(2)
    return bits, count * math.log2(split.classes)


def _inputs(given: Any, labels: Array) -> dict[str, Array]:
    """For each point (*sizes of the labels, width), heads joined."""
    if not isinstance(given, Mapping):
        given = {"activations": given}
    found = {}
    for path, value in given.items():
        x = np.asarray(value if isinstance(value, np.ndarray) else value.numpy(), np.float64)
        heads = (
            given.points[path].axis("heads", "kv_heads") if isinstance(given, Activations) else None
        )
        if heads is not None:
            x = np.moveaxis(x, heads, -2)
            x = x.reshape(*x.shape[:-2], -1)
        if x.shape[:-1] != labels.shape:
            what = f"{path} is {x.shape}, labels are {labels.shape}: the leading sizes differ"
            remedy = "label every position, or choose one: value[:, position]"
            raise ShapeError(explain("probe", what, remedy=remedy))
        found[path] = x
    if not found:
        raise DataError(explain("probe", "no activations are given"))
    return found


def _texts(labels: Array) -> Array:
    """The number of the example of each label."""
    first = np.arange(labels.shape[0]).reshape(-1, *(1,) * (labels.ndim - 1))
    return np.broadcast_to(first, labels.shape)


def _beside(given: Any, labels: Array, default: Array) -> Array:
    found = default if given is None else np.asarray(given)
    if found.shape != labels.shape:
        what = f"types or groups are {found.shape}, labels are {labels.shape}"
        raise ShapeError(explain("probe", what, remedy="give one for each label"))
    return found


def _split(labels: Array, groups: Array, held_out: float, seed: int) -> _Split:
    names, group = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        what = f"{len(names)} groups of examples cannot be split"
        raise DataError(explain("probe", what, remedy="label more texts, or give groups"))
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(names))
    kept = min(len(names) - 1, max(1, round(held_out * len(names))))
    place = np.empty_like(order)
    place[order] = np.arange(len(names))
    # Rows by the random place of their group: also the order in which the online code sends them.
    rows = np.argsort(place[group], kind="stable")
    is_test = place[group][rows] >= len(names) - kept
    train, test = rows[~is_test], rows[is_test]
    if labels.dtype.kind == "f":
        if np.ptp(labels) == 0:
            raise DataError(explain("probe", f"all labels are {labels[0]}"))
        return _Split(labels.astype(np.float64), groups, 0, train, test)
    values, numbers = np.unique(labels, return_inverse=True)
    if len(values) < 2:
        what = f"the labels have {len(values)} classes"
        raise DataError(explain("probe", what, remedy="give labels of two classes or more"))
    return _Split(numbers, groups, len(values), train, test)


def _control(types: Array, split: _Split, seed: int) -> _Split | None:
    """The same rows with a random label for every type. Hewitt and Liang 2019, section 2.1."""
    if not split.classes:
        return None
    _, kinds = np.unique(types, return_inverse=True)
    rng = np.random.default_rng(seed + 1)
    shares = np.bincount(split.labels, minlength=split.classes) / len(split.labels)
    random = rng.choice(split.classes, kinds.max() + 1, p=shares)
    return replace(split, labels=random[kinds])


def _explained(given: Array, true: Array) -> float:
    """R², the share of variance explained; NaN where there is no variance."""
    spread = float(((true - true.mean()) ** 2).sum())
    return 1 - float(((given - true) ** 2).sum()) / spread if spread else math.nan


def _check_finite(path: str, x: Array) -> None:
    bad = np.argwhere(~np.isfinite(x))
    if len(bad):
        what = f"{path} is not finite at {len(bad)} places, the first is {bad[0].tolist()}"
        raise NonFiniteError(explain("probe", what, remedy="leave such examples out"))
