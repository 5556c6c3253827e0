"""Faithfulness: which explanation method to trust for what, on this model and these examples.

Two tests that need no opinion about what a good explanation is. Tokens are taken away, or put back,
in the order that a method gives; and the weights are randomised, which must change an explanation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Picture

from tinygrad_tx.errors import DataError, NonFiniteError, ShapeError, explain
from tinygrad_tx.jit import jit
from tinygrad_tx.nn import Module
from tinygrad_tx.reasoning.trust.intervals import bounds, interval
from tinygrad_tx.reasoning.trust.randomised import Cascade, cascade
from tinygrad_tx.table import Table, shown_as_table
from tinygrad_tx.tasks.picture import curves, panels
from tinygrad_tx.tasks.task import Figure
from tinygrad_tx.tensor import Tensor, no_grad, softmax

__all__ = ["AOPC", "Faithfulness", "Method", "MethodFaithfulness", "faithfulness"]

Array = np.ndarray[Any, Any]
Method = Callable[[Any, Array, Array], Any]
"""(model, tokens (batch, time), target (batch,)) -> a score for each token, high if it matters."""

AOPC = (0.01, 0.05, 0.1, 0.2, 0.5)
"""Shares of tokens over which ERASER's measures are averaged (DeYoung et al. 2020, section 4)."""


@dataclass(frozen=True)
class MethodFaithfulness:
    """One method. Curves: mean probability of the target by share of tokens taken or put back.

    deletion, insertion: areas under them; deleted, inserted: how much lower, and higher, than those
    of random orders, example by example (above 0 is better than random). comprehensiveness: what
    the probability loses without the most important tokens (high is good); sufficiency: what it
    loses with them alone (low is good). cascade: the sanity check, if it was run.
    """

    name: str
    deletion_curve: Array
    insertion_curve: Array
    deletion: Figure
    insertion: Figure
    deleted: Figure
    inserted: Figure
    comprehensiveness: Figure
    sufficiency: Figure
    cascade: Cascade | None = None

    @property
    def trust(self) -> str:
        """What the figures allow to conclude, in words."""
        if self.cascade is not None and self.cascade.is_insensitive:
            return "nothing: it hardly depends on the weights"
        if math.isnan(self.deleted.low):
            return "not known: too few examples"
        needed, enough = self.deleted.low > 0, self.inserted.low > 0
        if needed and enough:
            found = "which tokens are needed and which are enough"
        elif needed:
            found = "which tokens are needed"
        elif enough:
            found = "which tokens are enough"
        else:
            return "nothing shown: no better than a random order"
        doubtful = self.cascade is not None and not self.cascade.is_sensitive
        return f"{found} (sanity check undecided)" if doubtful else found


@shown_as_table
@dataclass(frozen=True)
class Faithfulness:
    """Methods compared on the same examples. shares: of tokens, along the curves; random: the mean
    curves (taken away, put back) of random orders."""

    methods: tuple[MethodFaithfulness, ...]
    shares: Array
    random: tuple[Array, Array]
    examples: int
    orders: int

    def __getitem__(self, name: str) -> MethodFaithfulness:
        return {m.name: m for m in self.methods}[name]

    def table(self) -> Table:
        columns = (
            "method", "deletion, gain", "deletion interval", "insertion, gain",
            "insertion interval", "comprehensiveness", "sufficiency", "correlation",
            "correlation interval", "trust it for",
        )  # fmt: skip
        rows = tuple(
            (
                m.name, m.deleted.value, bounds(m.deleted), m.inserted.value, bounds(m.inserted),
                m.comprehensiveness.value, m.sufficiency.value,
                m.cascade.last.value if m.cascade else None,
                bounds(m.cascade.last if m.cascade else None), m.trust,
            )
            for m in self.methods
        )  # fmt: skip
        notes = (
            f"{self.examples} examples, {self.orders} random orders of each; gains are over them.",
            "correlation: of ranks, with the explanation after all weights were randomised.",
            "Texts with replaced "
            "tokens are unlike those the model was trained on: part of every drop is that.",
        )
        return Table("Faithfulness of explanations", columns, rows, notes)

    def picture(self) -> Picture:
        """Deletion and insertion curves, and the sanity check where it was run."""
        checked = [m for m in self.methods if m.cascade is not None]
        picture, axes = panels(3 if checked else 2)
        for i, (kind, word) in enumerate((("deletion", "replaced"), ("insertion", "put back"))):
            lines = {m.name: getattr(m, f"{kind}_curve") for m in self.methods}
            lines = {**lines, "random order": self.random[i]}
            named = {k: dict(zip(self.shares, v, strict=True)) for k, v in lines.items()}
            curves(axes[i], named)
            axes[i].set(xlabel=f"share of tokens {word}", ylabel="probability of the target")
        if checked:
            stages = checked[0].cascade.stages if checked[0].cascade is not None else ()
            found = {
                m.name: dict(enumerate(m.cascade.correlations))
                for m in checked
                if m.cascade is not None
            }
            curves(axes[2], found)  # type: ignore[arg-type]
            axes[2].set_xticks(range(len(stages)), stages, rotation=90, fontsize=7)
            axes[2].set_ylabel("rank correlation with the explanation")
        return picture


def faithfulness(
    model: Module,
    tokens: Any,
    methods: Mapping[str, Method],
    *,
    replacement: int,
    targets: Any = None,
    eligible: Any = None,
    steps: int = 20,
    orders: int = 10,
    sanity: bool = True,
    stages: Sequence[Sequence[str]] | None = None,
    batch: int = 64,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Faithfulness:
    """Explanation methods compared by what taking tokens away does, and by randomised weights.

    Shapes: tokens (batch, time); the model gives logits (batch, classes), or (batch, time, vocab),
    of which the last position counts. targets (batch,): the model's own answers if not given.
    methods: see `Method`. replacement: the token that stands where one was taken away; the figures
    depend on it, so choose one that says little to this model. eligible: (time,) or (batch, time),
    where tokens may be taken; all if not given. sanity: whether weights are randomised, from the
    output to the input (see `cascade`); the model has its own back afterwards.

    Errors: ShapeError, DataError, NonFiniteError; ValueError for no method.
    Source: Petsiuk et al. 2018 (deletion, insertion); DeYoung et al. 2020 (comprehensiveness and
    sufficiency, means over `AOPC`); Adebayo et al. 2018 (sanity checks).
    """
    if not methods:
        raise ValueError(explain("faithfulness", "there are no methods"))
    tokens = np.asarray(tokens)
    if tokens.ndim != 2 or not tokens.size:
        raise ShapeError(explain("faithfulness", f"tokens are {tokens.shape}, not (batch, time)"))
    may = np.broadcast_to(True if eligible is None else np.asarray(eligible, bool), tokens.shape)
    if not may.any(1).all():
        what = f"no token of example {int(np.argmin(may.any(1)))} may be taken away"
        raise DataError(explain("faithfulness", what))
    probability = _Probability(model, replacement, batch)
    targets = probability.answers(tokens) if targets is None else np.asarray(targets)
    rng = np.random.default_rng(seed)
    jobs, done = len(methods) * (2 if sanity else 1) + orders, 0

    def tell() -> None:
        nonlocal done
        done += 1
        if on_progress is not None:
            on_progress(done, jobs)

    given = {name: scored(m, model, tokens, targets, may, name) for name, m in methods.items()}
    shares = np.linspace(0, 1, min(steps, int(may.sum(1).max())) + 1)
    random = []
    for _ in range(orders):
        scores = np.where(may, rng.random(tokens.shape), -np.inf)
        random.append(probability.both(tokens, targets, scores, shares))
        tell()
    mean = np.mean(random, 0)  # (2, batch, shares)
    found = []
    for name, scores in given.items():
        curves_of = probability.both(tokens, targets, scores, shares)
        eraser = probability.both(tokens, targets, scores, np.array([0.0, *AOPC]), least=1)
        tell()
        found.append(_compared(name, shares, curves_of, mean, eraser))
        if sanity:
            again = partial(scored, methods[name], model, tokens, targets, may, name)
            checked = cascade(model, again, scores, may, stages, seed)
            found[-1] = replace(found[-1], cascade=checked)
            tell()
    both = (mean[0].mean(0), mean[1].mean(0))
    return Faithfulness(tuple(found), shares, both, len(tokens), orders)


def scored(
    method: Method, model: Any, tokens: Array, targets: Array, may: Array, name: str
) -> Array:
    """A method's scores (batch, time), -inf where no token may be taken."""
    given = method(model, tokens, targets)
    scores = np.asarray(given.numpy() if isinstance(given, Tensor) else given, np.float64)
    if scores.shape != tokens.shape:
        what = f"method {name!r} gave {scores.shape}, not a score for each of {tokens.shape}"
        raise ShapeError(explain("faithfulness", what))
    bad = np.argwhere(~np.isfinite(scores) & may)
    if len(bad):
        what = f"method {name!r} gave {scores[tuple(bad[0])]} for token {bad[0].tolist()}"
        raise NonFiniteError(explain("faithfulness", what))
    return np.where(may, scores, -np.inf)


class _Probability:
    """The probability of the targets when some tokens of the texts are replaced."""

    def __init__(self, model: Module, replacement: int, batch: int) -> None:
        self.replacement, self.batch = replacement, batch

        def answer(tokens: Tensor) -> Tensor:
            with no_grad():
                logits = model(tokens)
                return softmax(logits[:, -1] if logits.ndim == 3 else logits)

        model.eval()
        self.answer = jit(answer)

    def of_all(self, texts: Array) -> Array:
        """(texts, classes), a batch of one shape at a time; the last is filled up."""
        found = []
        for start in range(0, len(texts), self.batch):
            rows = np.minimum(np.arange(start, start + self.batch), len(texts) - 1)
            found.append(self.answer(texts[rows]).numpy().astype(np.float64))
        return np.asarray(np.concatenate(found)[: len(texts)])

    def answers(self, texts: Array) -> Array:
        return np.asarray(self.of_all(texts).argmax(-1))

    def both(
        self, tokens: Array, targets: Array, scores: Array, shares: Array, least: int = 0
    ) -> Array:
        """Without the most important share of tokens, then with it alone: (2, batch, shares).

        least: the fewest tokens of a share above 0.
        """
        # Equal scores stay in the order of the text.
        place = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1, kind="stable")
        may = np.isfinite(scores)
        counts = np.round(shares * may.sum(1, keepdims=True))  # (batch, shares)
        counts = np.where(shares > 0, np.maximum(counts, least), counts)
        chosen = (place[:, None] < counts[..., None]) & may[:, None]  # (batch, shares, time)
        gone = (chosen, ~chosen & may[:, None])
        texts = [np.where(g, self.replacement, tokens[:, None]) for g in gone]
        flat = np.stack(texts).reshape(-1, tokens.shape[1])
        known = np.broadcast_to(targets[None, :, None], (2, *counts.shape)).ravel()
        unique, back = np.unique(flat, axis=0, return_inverse=True)
        values = self.of_all(unique)[back.ravel(), known]
        return np.asarray(values.reshape(2, *counts.shape))


def _compared(
    name: str, shares: Array, found: Array, random: Array, eraser: Array
) -> MethodFaithfulness:
    areas, by_chance = np.trapezoid(found, shares), np.trapezoid(random, shares)  # (2, batch)
    lost = eraser[0, :, :1] - eraser[0, :, 1:]
    short = eraser[0, :, :1] - eraser[1, :, 1:]
    return MethodFaithfulness(
        name, found[0].mean(0), found[1].mean(0),
        interval(areas[0]), interval(areas[1]),
        interval(by_chance[0] - areas[0]), interval(areas[1] - by_chance[1]),
        interval(lost.mean(1)), interval(short.mean(1)),
    )  # fmt: skip
