"""Attribution: how much each token of the input, or each head, did for a number of the output.

    gradient x input        e_t . dF/de_t                                at token embeddings e
    integrated gradients    (e_t - e'_t) . mean over a of dF/de_t at e' + a (e - e')
    occlusion               F(e) - F(e with e_t replaced by e'_t)

Sundararajan et al. 2017, equation 1, for the second: its scores sum to F(e) - F(e') but for the
error of the sum over a, which is in the result as the gap. All are linear or one-at-a-time views of
a function that is neither; `Attribution` is what tests of faithfulness take.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tinygrad_tx.errors import PointError, ShapeError, explain
from tinygrad_tx.reasoning.explain.along import Along, baseline_of, checked_rows
from tinygrad_tx.reasoning.explain.integrate import integrated
from tinygrad_tx.reasoning.explain.pictures import coloured_words, heat_map
from tinygrad_tx.reasoning.explain.stream import finite
from tinygrad_tx.reasoning.explain.target import Target
from tinygrad_tx.reasoning.explain.words import Decodes, words_of
from tinygrad_tx.reasoning.look import Model
from tinygrad_tx.reasoning.point import matching
from tinygrad_tx.table import Table, shown_as_table

__all__ = [
    "Attribution",
    "HeadAttribution",
    "gradient_x_input",
    "head_attribution",
    "integrated_gradients",
    "occlusion",
]

Array = np.ndarray[Any, Any]
Baseline = str | int | Array
LARGE = 0.05
"""A gap beyond this share of what is explained is pointed out."""


@shown_as_table
@dataclass(frozen=True)
class Attribution:
    """A score for each token of each example.

    tokens, scores: (batch, time). target: resolved, so that others can measure the same number.
    value: (batch,), that number; at_baseline: what it is at the baseline, where there is one. gap:
    (batch,), sum of scores - (value - at_baseline): None for a method that promises no sum.
    """

    method: str
    tokens: Array
    scores: Array
    target: Target
    value: Array
    at_baseline: Array | None = None
    gap: Array | None = None
    notes: tuple[str, ...] = ()
    tokenizer: Decodes | None = None

    def order(self, example: int = 0) -> Array:
        """Positions from the highest score to the lowest."""
        return np.argsort(-self.scores[example], kind="stable")

    def table(self, example: int = 0) -> Table:
        """Tokens in their order, with scores and their share of all sizes."""
        scores = self.scores[example].astype(np.float64)
        total = np.abs(scores).sum() or 1.0
        words = words_of(self.tokens[example], self.tokenizer)
        rows = [
            (i, word, float(s), float(abs(s) / total))
            for i, (word, s) in enumerate(zip(words, scores, strict=True))
        ]
        notes = [f"The {self.target.words(example, self.tokenizer)} is {self.value[example]:.4g}."]
        if self.gap is not None and self.at_baseline is not None:
            change = self.value[example] - self.at_baseline[example]
            notes.append(
                f"Scores sum to {scores.sum():.4g}; from baseline to input it moves by"
                f" {change:.4g}: a gap of {self.gap[example]:.2g}."
            )
        columns = ("position", "token", "score", "share of sizes")
        return Table(self.method, columns, tuple(rows), (*notes, *self.notes))

    def picture(self, example: int = 0) -> Figure:
        """The text, red where a token speaks for the target, blue where against it."""
        title = f"{self.method}, {self.target.words(example, self.tokenizer)}"
        words = words_of(self.tokens[example], self.tokenizer)
        return coloured_words(words, self.scores[example], title)


@shown_as_table
@dataclass(frozen=True)
class HeadAttribution:
    """Integrated gradients along each layer's contexts. scores: (batch, layers, heads).

    by_position: (batch, layers, heads, time). gap: (batch, layers), of each layer's sum: a layer's
    scores sum to the target less what it is without that layer's heads.
    """

    paths: tuple[str, ...]
    by_position: Array
    target: Target
    value: Array
    without: Array
    """(batch, layers): the target where all contexts of the layer are at the baseline."""
    gap: Array
    notes: tuple[str, ...] = ()
    tokenizer: Decodes | None = None

    @property
    def scores(self) -> Array:
        total: Array = self.by_position.sum(-1)
        return total

    def table(self, example: int = 0, most: int = 12) -> Table:
        """Heads by the size of their score."""
        scores = self.scores[example]
        order = np.argsort(-np.abs(scores), axis=None, kind="stable")[:most]
        rows = [
            (self.paths[i], int(h), float(scores[i, h]), float(self.gap[example, i]))
            for i, h in zip(*np.unravel_index(order, scores.shape), strict=True)
        ]
        title = f"Integrated gradients of heads, {self.target.words(example, self.tokenizer)}"
        columns = ("attention", "head", "score", "gap of the layer")
        return Table(title, columns, tuple(rows), self.notes)

    def picture(self, example: int = 0) -> Figure:
        """Layers by heads."""
        scores = self.scores[example]
        heads = [f"head {i}" for i in range(scores.shape[1])]
        words = [[f"{x:.2g}" for x in row] for row in scores]
        rows = [p.rpartition(".")[0] for p in self.paths]
        title = f"Integrated gradients, {self.target.words(example, self.tokenizer)}"
        return heat_map(scores, rows, heads, words=words, title=title, label="score", signed=True)


def gradient_x_input(
    model: Model,
    inputs: Any,
    target: Target | None = None,
    *,
    side: str | None = None,
    tokenizer: Decodes | None = None,
) -> Attribution:
    """The first-order change of the target if a token's embedding went to zero.

    target: the model's own likeliest token at the last position if not given. side: "encoder" or
    "decoder" of a model with both; the encoder if not given. Limits: local: where the target is
    flat (a saturated softmax) scores are small whatever the token did. Errors: PointError,
    ShapeError, NonFiniteError. Source: Simonyan et al. 2014; Shrikumar et al. 2017.
    """
    along = Along.embeddings(model, inputs, target or Target(), side)
    scores = []
    for example in range(along.batch):
        own = along.values[example]
        _, slopes = along.slopes(example, own[None])
        scores.append((slopes[0] * own).sum(-1))
    found = finite(np.stack(scores), "the scores")
    notes = ("First order only: no sum is promised.",)
    method = "Gradient x input"
    return Attribution(
        method, along.tokens, found, along.target, along.value, None, None, notes, tokenizer
    )


def integrated_gradients(
    model: Model,
    inputs: Any,
    target: Target | None = None,
    *,
    baseline: Baseline = "zero",
    steps: int = 32,
    rule: str = "adaptive",
    rows: int = 8,
    side: str | None = None,
    tokenizer: Decodes | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Attribution:
    """Gradients of the target gathered on the straight way from a baseline to the input.

    baseline: "zero", "mean" (of the embedding table), a token, as that of [MASK] or of padding, or
    an array that broadcasts to (time, width). Positions and segments stay. steps: points on the
    way, at most; rule: "adaptive" (see `integrate`; it stops early), "gauss" or "midpoint". rows:
    points side by side in one program. on_progress: points done, of all.
    Cost: steps forward and backward passes for each example. Limits: scores depend on the baseline,
    and the way leads through inputs that the model has never seen. Zero is a poor one where nothing
    is added to the embeddings before a norm divides (Llama, T5): close to zero the output jumps,
    and elsewhere on the way it stays; take a token. In a large model the target can swing along the
    way by more than it moves from end to end: a gap that is not small asks for more steps.
    Errors: as `gradient_x_input`. Source: Sundararajan et al. 2017, equation 1.
    """
    along = Along.embeddings(model, inputs, target or Target(), side)
    scores, bases = [], []
    for example in range(along.batch):
        base = baseline_of(along, example, baseline)
        done = _progress(on_progress, example, along.batch)
        each, at_base = integrated(along, example, base, steps, rule, rows, done)
        scores.append(each.sum(-1))
        bases.append(at_base)
    found = finite(np.stack(scores), "the scores")
    at_baseline = np.array(bases)
    gap = found.sum(-1) - (along.value - at_baseline)
    name = baseline if isinstance(baseline, str) else "given"
    shown = words_of([baseline], tokenizer)[0] if isinstance(baseline, int) else name
    notes: tuple[str, ...] = (
        f"Baseline: {shown}, {rule} steps.",
        "Other baselines give other scores.",
    )
    if (np.abs(gap) > LARGE * np.abs(along.value - at_baseline)).any():
        notes = ("The gap is large: take more steps, or another baseline.", *notes)
    return Attribution(
        "Integrated gradients", along.tokens, found, along.target, along.value, at_baseline, gap,
        notes, tokenizer,
    )  # fmt: skip


def occlusion(
    model: Model,
    inputs: Any,
    target: Target | None = None,
    *,
    baseline: Baseline = "zero",
    rows: int = 8,
    side: str | None = None,
    tokenizer: Decodes | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Attribution:
    """What the target loses when one token is replaced, one after the other.

    baseline: what takes its place, as in `integrated_gradients`; a token (mask, padding, unknown)
    is closer to what the model has seen than zeros. rows: replacements side by side in one program.
    Cost: a forward pass for each token. Limits: tokens that say the same cover for each other, so
    that neither is missed. Errors: as `gradient_x_input`. Source: Zeiler and Fergus 2014; Li et al.
    2016 for words.
    """
    checked_rows(rows)
    along = Along.embeddings(model, inputs, target or Target(), side)
    scores = []
    for example in range(along.batch):
        own, base = along.values[example], baseline_of(along, example, baseline)
        time = len(own)
        without = np.repeat(own[None], time, 0)
        without[np.arange(time), np.arange(time)] = base
        found = []
        for first in range(0, time, rows):
            found.append(along.measured(example, without[first : first + rows], rows))
            if on_progress is not None:
                on_progress(example * time + min(first + rows, time), along.batch * time)
        scores.append(along.value[example] - np.concatenate(found))
    name = baseline if isinstance(baseline, str) else "given"
    shown = words_of([baseline], tokenizer)[0] if isinstance(baseline, int) else name
    notes = (f"In its place: {shown}.", "Tokens that say the same cover for each other.")
    found_scores = finite(np.stack(scores), "the scores")
    return Attribution(
        "Occlusion", along.tokens, found_scores, along.target, along.value, None, None, notes,
        tokenizer,
    )  # fmt: skip


def head_attribution(
    model: Model,
    inputs: Any,
    target: Target | None = None,
    *,
    at: str = "*attention.context",
    steps: int = 32,
    rule: str = "adaptive",
    rows: int = 8,
    tokenizer: Decodes | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> HeadAttribution:
    """What each head did for the target: gradients gathered while its layer's heads are turned up.

    Along each layer by itself all contexts (what the heads read) go from zero to what they are;
    what later layers make of it is counted. at: a glob of contexts, all of as many heads. The
    layers' sums overlap: they do not add up. Errors: PointError, ShapeError, NonFiniteError.
    Source: Sundararajan et al. 2017; for inner units Dhamdhere et al. 2019.
    """
    chosen = target or Target()
    start = Along(model, inputs, chosen)
    paths = [p for p in matching([at], start.known) if start.known[p].name == "context"]
    heads = {start.known[p].shape[1:3] for p in paths}
    if not paths:
        what = f"{at!r} names no context of heads"
        raise PointError(explain("head_attribution", what))
    if len(heads) > 1:
        what = f"{at!r} names layers of different sizes: {sorted(heads)}"
        raise ShapeError(explain("head_attribution", what, remedy="name one side"))
    layers, without = [], []
    for i, path in enumerate(paths):
        along = start.at(path)
        each, bases = [], []
        for example in range(along.batch):
            base = np.zeros_like(along.values[example])
            done = _progress(on_progress, i * along.batch + example, along.batch * len(paths))
            found, low = integrated(along, example, base, steps, rule, rows, done)
            each.append(found.sum(-1))  # (heads, time)
            bases.append(low)
        layers.append(np.stack(each))
        without.append(bases)
    by_position = finite(np.stack(layers, 1), "the scores")
    at_zero = np.array(without).T  # (batch, layers)
    gap = by_position.sum((-2, -1)) - (start.value[:, None] - at_zero)
    notes = (
        f"Baseline: zero, {rule} steps; the largest gap of a layer is {np.abs(gap).max():.2g}.",
        "Each layer by itself: sums of different layers overlap.",
    )
    return HeadAttribution(
        tuple(paths), by_position, start.target, start.value, at_zero, gap, notes, tokenizer
    )


def _progress(
    tell: Callable[[int, int], None] | None, index: int, count: int
) -> Callable[[int, int], None]:
    """Progress within one of `count` equal parts, told as progress of all."""

    def done(part: int, whole: int) -> None:
        if tell is not None:
            tell(index * whole + part, count * whole)

    return done
