"""Calibration: whether a model is right as often as it says.

All of it works on logits (or probabilities) and labels: of a classifier, or of next tokens as
`next_tokens` collects them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from tinygrad_tx.errors import DataError, IndexRangeError, NonFiniteError, ShapeError, explain
from tinygrad_tx.nn import Module
from tinygrad_tx.reasoning.trust.intervals import bounds, interval, resampled
from tinygrad_tx.table import Table, shown_as_table
from tinygrad_tx.tasks.picture import panels
from tinygrad_tx.tasks.predict import predict
from tinygrad_tx.tasks.task import Figure

__all__ = [
    "Answers",
    "Calibrated",
    "Calibration",
    "Temperature",
    "calibrate",
    "calibration",
    "next_tokens",
    "temperature_scaling",
]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Answers:
    """Logits (examples, classes), labels (examples,), and the text that each example is of."""

    logits: Array
    labels: Array
    groups: Array


@shown_as_table
@dataclass(frozen=True)
class Calibration:
    """Whether a model is right as often as it says; made by `calibration`.

    confidence: the probability of the answer given, for each example; right: whether it was.

    bins: of equal numbers of examples, by confidence: (mean confidence, share right, examples).
    error: expected calibration error, Σ share of bin |confidence - share right|. It is above 0 even
    for a perfect model; by_chance is its 95 % quantile if the confidences were true. root: root
    mean square calibration error with that bias taken away (0 where the rest is not positive).
    brier: mean squared error of all probabilities; loss: mean negative log-likelihood in nats.
    """

    confidence: Array
    right: Array
    groups: Array
    bins: tuple[tuple[float, float, int], ...]
    accuracy: Figure
    error: Figure
    by_chance: float
    root: float
    brier: Figure
    loss: Figure

    @property
    def is_calibrated(self) -> bool:
        """Whether the error is no larger than chance makes it."""
        return self.error.value <= self.by_chance

    def rows(self) -> list[tuple[Any, ...]]:
        """Measure, value, interval."""
        known = (
            ("accuracy", self.accuracy),
            ("mean confidence", interval(self.confidence, self.groups)),
            ("expected calibration error", self.error),
            ("negative log-likelihood (nats)", self.loss),
            ("Brier score", self.brier),
        )
        found: list[tuple[Any, ...]] = [(name, f.value, bounds(f)) for name, f in known]
        found.insert(3, ("its 95 % quantile if calibrated", self.by_chance, None))
        found.insert(4, ("calibration error, root mean square, unbiased", self.root, None))
        return found

    def table(self) -> Table:
        notes = (
            f"{len(self.right)} examples of {len(np.unique(self.groups))} texts in "
            f"{len(self.bins)} bins of equal numbers.",
        )
        return Table(
            "Calibration", ("measure", "value", "95 % interval"), tuple(self.rows()), notes
        )

    def picture(self) -> Picture:
        """The reliability curve over a histogram of confidences."""
        picture, (axes,) = panels()
        draw_reliability(axes, {"model": self})
        return picture


@dataclass(frozen=True)
class Temperature:
    """softmax(logits / value). at_bound: the best one was not inside of the range searched."""

    value: float
    before: float
    """Mean negative log-likelihood on the examples that it was fitted on, at temperature 1."""
    after: float
    at_bound: bool = False

    def __call__(self, logits: Array) -> Array:
        return np.asarray(logits, np.float64) / self.value


@shown_as_table
@dataclass(frozen=True)
class Calibrated:
    """Held-out calibration before and after temperature scaling fitted on other examples."""

    temperature: Temperature
    before: Calibration
    after: Calibration

    def table(self) -> Table:
        rows = tuple(
            (a[0], a[1], a[2], b[1], b[2])
            for a, b in zip(self.before.rows(), self.after.rows(), strict=True)
        )
        columns = ("measure", "before", "95 % interval", "after", "its interval")
        notes = [f"Temperature {self.temperature.value:.3f}, fitted on the validation part."]
        if self.temperature.at_bound:
            notes.append("The temperature ran to the end of its range: it fits nothing.")
        return Table(
            "Calibration before and after temperature scaling", columns, rows, tuple(notes)
        )

    def picture(self) -> Picture:
        picture, (axes,) = panels()
        draw_reliability(axes, {"before": self.before, "after": self.after})
        return picture


def calibration(
    logits: Any,
    labels: Any,
    *,
    bins: int = 15,
    groups: Any = None,
    probabilities: bool = False,
    seed: int = 0,
) -> Calibration:
    """How far confidence and being right lie apart.

    Shapes: logits (examples, classes), or (examples,) for the second of two classes; labels
    (examples,). probabilities: whether that is what `logits` are. groups: examples of one group
    (tokens of a text) are resampled together. The error of a mean over bins has a bias upwards that
    grows with their number; so it is given beside what chance alone makes of it.
    Errors: ShapeError, IndexRangeError, NonFiniteError, DataError.
    Source: Guo et al. 2017 (eq. 3), with bins of equal numbers as in Nguyen and O'Connor 2015;
    Kumar et al. 2019, section 4 (unbiased estimate); Bröcker and Smith 2007 (consistency
    resampling).
    """
    scores, labels, groups = _checked(logits, labels, groups)
    log_p = _log_of(scores) if probabilities else _log_softmax(scores)
    p, every = np.exp(log_p), np.arange(len(labels))
    given = p.argmax(-1)
    confidence, right = p[every, given], (given == labels).astype(np.float64)
    brier = (p**2).sum(-1) - 2 * p[every, labels] + 1
    bins = max(1, min(bins, len(labels)))
    parts = np.array_split(np.argsort(confidence, kind="stable"), bins)
    curve = tuple((float(confidence[i].mean()), float(right[i].mean()), len(i)) for i in parts)

    def error(rows: Array) -> float:
        return _error(confidence[rows], right[rows], bins)

    rng = np.random.default_rng(seed)
    chance = [
        _error(confidence, rng.random(len(confidence)) < confidence, bins) for _ in range(200)
    ]
    return Calibration(
        confidence, right, groups, curve,
        interval(right, groups, seed), resampled(error, len(labels), groups, seed),
        float(np.quantile(chance, 0.95)), _root(curve),
        interval(brier, groups, seed), interval(-log_p[every, labels], groups, seed),
    )  # fmt: skip


def temperature_scaling(logits: Any, labels: Any) -> Temperature:
    """The temperature with the least negative log-likelihood, to be fitted on validation examples.

    It changes no answer, only the confidence. The loss is convex in 1 / temperature: its slope's
    sign is bisected between 1/100 and 100. Source: Guo et al. 2017, section 4.2.
    """
    scores, labels, _ = _checked(logits, labels, None)
    every = np.arange(len(labels))

    def loss_and_slope(cold: float) -> tuple[float, float]:
        log_p = _log_softmax(scores * cold)
        expected = (np.exp(log_p) * scores).sum(-1)
        return -float(log_p[every, labels].mean()), float((expected - scores[every, labels]).mean())

    low, high = math.log(1e-2), math.log(1e2)
    for _ in range(60):
        middle = (low + high) / 2
        if loss_and_slope(math.exp(middle))[1] < 0:
            low = middle
        else:
            high = middle
    cold = math.exp((low + high) / 2)
    before, after = loss_and_slope(1.0)[0], loss_and_slope(cold)[0]
    # Where every answer is right the loss falls to nothing, and no temperature is the best.
    at_bound = not 1.0001e-2 < cold < 0.9999e2 or after < 1e-9
    return Temperature(1 / cold, before, after, at_bound)


def calibrate(validation: Answers, held_out: Answers, bins: int = 15) -> Calibrated:
    """Temperature scaling fitted on one part and measured on another."""
    temperature = temperature_scaling(validation.logits, validation.labels)
    before = calibration(held_out.logits, held_out.labels, bins=bins, groups=held_out.groups)
    scaled = temperature(held_out.logits)
    after = calibration(scaled, held_out.labels, bins=bins, groups=held_out.groups)
    return Calibrated(temperature, before, after)


def next_tokens(
    model: Module,
    tokens: Any,
    targets: Any,
    *,
    ignore: int = -100,
    batch: int = 16,
    memory: int = 1 << 30,
) -> Answers:
    """The predictions of the next token at every position of texts, as examples; a text is a group.

    Shapes: tokens and targets (texts, time). Errors: ShapeError; DataError where the logits would
    take more than `memory` bytes.
    """
    tokens, targets = np.asarray(tokens), np.asarray(targets)
    if tokens.ndim != 2 or tokens.shape != targets.shape:
        what = f"tokens are {tokens.shape}, targets {targets.shape}, not both (texts, time)"
        raise ShapeError(explain("next_tokens", what))
    vocab = getattr(getattr(model, "config", None), "vocab_size", 1)
    if tokens.size * vocab * 4 > memory:
        what = f"logits of {tokens.size} tokens x {vocab} words take more than {memory >> 20} MiB"
        raise DataError(explain("next_tokens", what, remedy="give fewer texts, or more memory"))
    logits = predict(model, model, [tokens], min(batch, len(tokens)))
    texts = np.broadcast_to(np.arange(len(tokens))[:, None], tokens.shape)
    kept = targets != ignore
    return Answers(logits[kept], targets[kept], texts[kept])


def draw_reliability(axes: Axes, curves: dict[str, Calibration]) -> None:
    """Share right over confidence, bin by bin; the diagonal is a model that knows what it knows."""
    axes.plot([0, 1], [0, 1], "--", color="#888888", linewidth=1, label="calibrated")
    for name, found in curves.items():
        x, y, sizes = zip(*found.bins, strict=True)
        spread = [
            1.96 * math.sqrt(max(a * (1 - a), 1e-9) / n) for a, n in zip(y, sizes, strict=True)
        ]
        label = f"{name}: error {found.error.value:.3f}"
        axes.errorbar(x, y, yerr=spread, fmt="o-", markersize=4, linewidth=1, label=label)
    axes.set(xlabel="confidence", ylabel="share right", xlim=(0, 1), ylim=(0, 1))
    axes.legend(frameon=False)


def _checked(logits: Any, labels: Any, groups: Any) -> tuple[Array, Array, Array]:
    scores, labels = np.asarray(logits, np.float64), np.asarray(labels)
    if scores.ndim == 1:
        scores = np.stack([np.zeros_like(scores), scores], -1)
    groups = np.arange(len(labels)) if groups is None else np.asarray(groups)
    if scores.ndim != 2 or labels.shape != scores.shape[:1] or groups.shape != labels.shape:
        what = f"logits are {np.shape(logits)}, labels {labels.shape}, groups {groups.shape}"
        raise ShapeError(explain("calibration", what, remedy="give (examples, classes)"))
    if not len(labels):
        raise DataError(explain("calibration", "there are no examples"))
    bad = np.argwhere(np.isnan(scores) | (scores == np.inf))
    if len(bad):
        what = f"{len(bad)} logits are not finite, the first is of example {bad[0][0]}"
        raise NonFiniteError(explain("calibration", what))
    wrong = labels[(labels < 0) | (labels >= scores.shape[1])]
    if labels.dtype.kind not in "iub" or len(wrong):
        what = f"labels {wrong[:3].tolist()} are no classes of {scores.shape[1]}"
        raise IndexRangeError(explain("calibration", what))
    return scores, labels.astype(np.int64), groups


def _log_softmax(scores: Array) -> Array:
    top = scores - scores.max(-1, keepdims=True)
    return np.asarray(top - np.log(np.exp(top).sum(-1, keepdims=True)))


def _log_of(p: Array) -> Array:
    sums = p.sum(-1)
    if (p < 0).any() or np.abs(sums - 1).max() > 1e-3:
        what = f"probabilities add up to {sums.min():.4g} to {sums.max():.4g}, least {p.min():.4g}"
        raise DataError(explain("calibration", what, remedy="give logits, or normalise them"))
    return np.log(np.maximum(p, 1e-300))


def _error(confidence: Array, right: Array, bins: int) -> float:
    order = np.argsort(confidence, kind="stable")
    gaps = np.cumsum(np.r_[0.0, confidence[order] - right[order]])
    cuts = np.cumsum([0, *(len(i) for i in np.array_split(order, bins))])
    return float(np.abs(np.diff(gaps[cuts])).sum() / len(order))


def _root(curve: tuple[tuple[float, float, int], ...]) -> float:
    """sqrt Σ share ((confidence - right)² - right (1 - right) / (n - 1)): Kumar et al. 2019."""
    total = sum(n for *_, n in curve)
    found = sum(
        n / total * ((c - r) ** 2 - (r * (1 - r) / (n - 1) if n > 1 else 0.0)) for c, r, n in curve
    )
    return math.sqrt(max(0.0, found))
