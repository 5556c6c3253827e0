"""Failing slices: parts of the examples that a classifier gets wrong more often than the others.

Many slices are tried, so all p are corrected together, and what is found first looks worse than it
is: measure it again on new examples before a model is blamed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from tinygrad_tx.data.units import FIRST, PAD
from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.jit import jit
from tinygrad_tx.reasoning.audits.statistics import difference_of_shares, fisher, holm
from tinygrad_tx.table import Table, shown_as_table
from tinygrad_tx.tasks.task import Figure
from tinygrad_tx.tensor import Tensor, no_grad, softmax

__all__ = ["Classify", "Slice", "Slices", "classified_by", "failing_slices"]

Array = np.ndarray[Any, Any]
Classify = Callable[[Array], Array]
"""From rows of tokens (examples, time) to P of each class (examples, classes)."""
LEAST = 20
"""Examples in a slice, and outside of it where it is compared with them."""


@dataclass(frozen=True)
class Slice:
    """kind: length, token, confidence, label, or a column that was given. count: examples in it.

    gap: the error inside less that outside, with its interval. For a slice by confidence `outside`
    is the error that the confidence itself claims. adjusted: p, corrected for all slices tried.
    """

    kind: str
    name: str
    count: int
    inside: float
    outside: float
    gap: Figure
    p: float
    adjusted: float


@shown_as_table
@dataclass(frozen=True)
class Slices:
    """Parts of the data on which a model fails more often than elsewhere.

    slices: all that were tried, the surest failures first.
    """

    error: float
    count: int
    slices: tuple[Slice, ...]
    left_out: int
    """Slices that were too small to be tried."""

    def failing(self, level: float = 0.05) -> tuple[Slice, ...]:
        """Those with more errors than outside, beyond chance after correction."""
        return tuple(s for s in self.slices if s.adjusted < level and s.gap.value > 0)

    def table(self, most: int = 20) -> Table:
        columns = ("slice", "kind", "examples", "error", "elsewhere", "gap", "low", "high",
                   "p (holm)")  # fmt: skip
        rows = tuple(
            (s.name, s.kind, s.count, s.inside, s.outside, s.gap.value, s.gap.low, s.gap.high,
             s.adjusted)
            for s in self.slices[:most]
        )  # fmt: skip
        notes = (
            f"{len(self.slices)} slices tried on {self.count} examples with an error of "
            f"{self.error:.3g}; {self.left_out} below {LEAST} examples were not",
            "gaps of slices that were picked because they are large shrink on new examples; "
            "slices overlap, and one may fail because of another",
        )
        return Table("Failing slices", columns, rows, notes)

    def json(self) -> dict[str, Any]:
        return self.table(len(self.slices)).json()


def classified_by(model: Any, batch: int = 64) -> Classify:
    """For a classifier of this project: `model(tokens, segments, mask)` gives logits; [PAD] is not
    looked at."""

    def answer(tokens: Tensor) -> Tensor:
        with no_grad():
            return softmax(model(tokens, None, tokens != PAD), -1)

    captured = jit(answer)  # once: an audit asks many times

    def classify(tokens: Array) -> Array:
        model.eval()
        rows = np.asarray(tokens, np.int64)
        found = []
        for start in range(0, len(rows), batch):
            some = np.minimum(np.arange(start, start + batch), len(rows) - 1)
            found.append(captured(rows[some]).numpy().copy())
        return np.concatenate(found)[: len(rows)]

    return classify


def failing_slices(
    classify: Classify,
    tokens: Array,
    labels: Sequence[int] | Array,
    names: Callable[[int], str] = str,
    columns: Mapping[str, Sequence[Any]] | None = None,
    bins: int = 4,
) -> Slices:
    """Slices by length, by a token that is in it, by confidence, by label and by given columns.

    tokens: (examples, time), padded with [PAD]; special tokens make no slices. names: of tokens, as
    `lambda t: units.decode([t])`. Each slice is compared with all other examples (Fisher's exact
    test), by confidence with the error that the model claims (the exact distribution of so many
    independent errors). p corrected by Holm. Errors: DataError.
    Source: the search is that of Chung et al. 2019 (Slice Finder) without combinations.
    """
    tokens, labels = np.asarray(tokens, np.int64), np.asarray(labels)
    probabilities = checked_probabilities(classify(tokens), len(labels), "failing_slices")
    wrong = probabilities.argmax(1) != labels
    confidence = probabilities.max(1)
    found: list[tuple[str, str, Array, bool]] = [
        *_by_length(tokens, bins),
        *_by_token(tokens, names),
        *(("label", f"label {v}", labels == v, False) for v in np.unique(labels).tolist()),
        *_by_confidence(confidence, bins),
        *_by_columns(columns or {}, len(labels)),
    ]
    tried = [s for s in found if s[2].sum() >= LEAST and (s[3] or (~s[2]).sum() >= LEAST)]
    slices = [
        _measured(kind, name, inside, wrong, 1 - confidence if claims else None)
        for kind, name, inside, claims in tried
    ]
    adjusted = holm([s.p for s in slices])
    slices = [replace(s, adjusted=float(p)) for s, p in zip(slices, adjusted, strict=True)]
    slices.sort(key=lambda s: (s.gap.value <= 0, s.adjusted, s.p, -s.gap.value))
    return Slices(float(wrong.mean()), len(labels), tuple(slices), len(found) - len(tried))


def checked_probabilities(probabilities: Array, count: int, who: str) -> Array:
    """(examples, classes), finite. Errors: DataError."""
    found = np.asarray(probabilities, np.float64)
    if found.ndim != 2 or len(found) != count or not count:
        what = f"probabilities of shape {found.shape} for {count} labels"
        raise DataError(explain(who, what, remedy="give (examples, classes)"))
    bad = ~np.isfinite(found).all(1)
    if bad.any():
        what = f"the probabilities of {int(bad.sum())} examples are not finite, "
        what += f"first {int(bad.argmax())}"
        raise DataError(explain(who, what, remedy="find where by not_finite(model, inputs)"))
    return found


def _by_length(tokens: Array, bins: int) -> Iterator[tuple[str, str, Array, bool]]:
    lengths = (tokens >= FIRST).sum(1)
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, bins + 1), method="lower"))
    for low, high in pairwise(edges):
        is_last = high == edges[-1]
        inside = (lengths >= low) & ((lengths <= high) if is_last else (lengths < high))
        yield "length", f"{low} to {high if is_last else high - 1} tokens", inside, False


def _by_token(tokens: Array, names: Callable[[int], str]) -> Iterator[tuple[str, str, Array, bool]]:
    for token in np.unique(tokens[tokens >= FIRST]).tolist():
        yield "token", f"has {names(token)!r}", (tokens == token).any(1), False


def _by_confidence(confidence: Array, bins: int) -> Iterator[tuple[str, str, Array, bool]]:
    edges = np.unique(np.quantile(confidence, np.linspace(0, 1, bins + 1)))
    for low, high in pairwise(edges):
        inside = (confidence >= low) & ((confidence < high) | (high == edges[-1]))
        yield "confidence", f"confidence {low:.3f} to {high:.3f}", inside, True


def _by_columns(
    columns: Mapping[str, Sequence[Any]], count: int
) -> Iterator[tuple[str, str, Array, bool]]:
    for name, values in columns.items():
        given = np.asarray(values)
        if len(given) != count:
            what = f"column {name!r} has {len(given)} values for {count} examples"
            raise DataError(explain("failing_slices", what))
        for value in sorted(set(given.tolist())):
            yield name, f"{name} {value}", given == value, False


def _measured(kind: str, name: str, inside: Array, wrong: Array, claimed: Array | None) -> Slice:
    count, errors = int(inside.sum()), int(wrong[inside].sum())
    rest, others = int((~inside).sum()), int(wrong[~inside].sum())
    if claimed is None:
        gap = difference_of_shares(errors, count, others, rest)
        p = fisher(errors, count, others, rest)
        return Slice(kind, name, count, errors / count, others / rest, gap, p, 1.0)
    chances = errors_distribution(claimed[inside])
    p = min(1.0, 2 * min(chances[: errors + 1].sum(), chances[errors:].sum()))
    expected = float(claimed[inside].mean())
    low, high = (np.searchsorted(chances.cumsum(), q) / count for q in (0.025, 0.975))
    value = errors / count - expected
    gap = Figure(value, errors / count - float(high), errors / count - float(low))
    return Slice(kind, name, count, errors / count, expected, gap, float(p), 1.0)


def errors_distribution(chances: Array) -> Array:
    """P of 0, 1, ..., n errors where example i errs with chances[i]: (n + 1,), by convolution."""
    found = np.ones(1)
    for q in np.clip(chances, 0, 1):
        found = np.convolve(found, [1 - q, q])
    return found
