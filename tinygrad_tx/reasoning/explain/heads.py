"""Scores of heads: which of them look at the token before, at a copy, or behind a copy.

On random tokens that are repeated once, x_1 ... x_n x_1 ... x_n, a head's score is the mean weight
that it gives from position i to

    i - 1          previous-token head            (all i but the first)
    i - n          duplicate-token head           (i in the second half)
    i - n + 1      induction head                 (i in the second half): what followed last time

Olsson et al. 2022, "In-context learning and induction heads", on repeated random tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Picture

from tinygrad_tx.errors import DataError, PointError, explain
from tinygrad_tx.jit import jit
from tinygrad_tx.reasoning.explain.pictures import heat_map
from tinygrad_tx.reasoning.explain.stream import at_rest, finite, listed
from tinygrad_tx.reasoning.look import Model, capture
from tinygrad_tx.table import Table, shown_as_table
from tinygrad_tx.tasks.task import Figure, bootstrap
from tinygrad_tx.tensor import Tensor, no_grad

__all__ = ["HeadScores", "induction_scores", "repeated_tokens"]

Array = np.ndarray[Any, Any]
KINDS = ("previous token", "duplicate token", "induction")
LIMITS = (
    "The scores say where a head looks on random tokens, not that the model's output needs it:"
    " ablate it to see.",
)


@shown_as_table
@dataclass(frozen=True)
class HeadScores:
    """How far each head looks at the token before, at an equal one, or at what followed that.

    scores[kind]: (sequences, layers, heads), from 0 to 1. paths: the patterns, layer by layer.

    chance: what a head that spreads its weight evenly gets, for each kind.
    """

    scores: dict[str, Array]
    paths: tuple[str, ...]
    chance: dict[str, float]

    def figure(self, kind: str, layer: int, head: int) -> Figure:
        """The mean over sequences with its 95 % interval. Errors: DataError for one sequence."""
        found = self._of(kind)[:, layer, head]
        if len(found) < 2:
            what = "one sequence gives no interval"
            raise DataError(explain("HeadScores", what, remedy="ask for more sequences"))
        return bootstrap(found)

    def best(self, kind: str) -> tuple[int, int]:
        """Layer and head of the highest mean score."""
        means = self._of(kind).mean(0)
        layer, head = np.unravel_index(int(means.argmax()), means.shape)
        return int(layer), int(head)

    def table(self, kind: str = "induction", most: int = 10) -> Table:
        """Heads by one score, with intervals, and their other scores."""
        means = self._of(kind).mean(0)
        order = np.argsort(-means, axis=None, kind="stable")[:most]
        rest = [k for k in self.scores if k != kind]
        rows = []
        for layer, head in zip(*np.unravel_index(order, means.shape), strict=True):
            one = len(self.scores[kind]) < 2
            figure = None if one else self.figure(kind, int(layer), int(head))
            low, high = (None, None) if figure is None else (figure.low, figure.high)
            others = (float(self.scores[k][:, layer, head].mean()) for k in rest)
            rows.append((int(layer), int(head), float(means[layer, head]), low, high, *others))
        count = len(self.scores[kind])
        evenly = ", ".join(f"{k} {v:.2g}" for k, v in self.chance.items())
        notes = (
            f"{count} sequences; from, to: 95 % interval over them"
            + (", none for one sequence." if count < 2 else "."),
            f"A head that spreads its weight evenly gets: {evenly}.",
            *LIMITS,
        )
        columns = ("layer", "head", kind, "from", "to", *rest)
        return Table(f"Heads by {kind} score", columns, tuple(rows), notes)

    def picture(self, kind: str = "induction") -> Picture:
        """Layers by heads."""
        means = self._of(kind).mean(0)
        layers, heads = means.shape
        words = [[f"{x:.2f}" for x in row] for row in means]
        return heat_map(
            means, [f"layer {i}" for i in range(layers)], [f"head {i}" for i in range(heads)],
            words=words, title=f"{kind} score", label="mean weight",
        )  # fmt: skip

    def _of(self, kind: str) -> Array:
        if kind not in self.scores:
            what = f"kind is {kind!r}, not one of {', '.join(self.scores)}"
            raise ValueError(explain("HeadScores", what))
        return self.scores[kind]


def induction_scores(
    model: Model,
    vocab: int | Sequence[int],
    *,
    length: int = 24,
    sequences: int = 32,
    first: int | None = None,
    rows: int = 8,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> HeadScores:
    """Previous-token, duplicate-token and induction score of every head.

    model: called with tokens (batch, time). vocab: its size, or the tokens to draw from. length: of
    the part that is repeated. first: a token that stands before all, for models that want one.
    rows: sequences at once; on_progress: sequences done, of all. Errors: DataError, PointError,
    NonFiniteError.
    """
    tokens = repeated_tokens(vocab, length, sequences, first, seed)
    known = listed(model, (tokens[:1],))
    paths = tuple(p for p in known if p.endswith("attention.pattern") and "cross_" not in p)
    heads = {known[p].shape[1] for p in paths}
    if len(heads) != 1:
        what = f"layers of {sorted(heads)} heads" if paths else "the model does not attend"
        raise PointError(explain("induction_scores", what, remedy="see points(model)"))
    masks = _masks(length, first is not None)

    def step(batch: Tensor) -> list[list[Tensor]]:
        found = capture(model, batch, paths)
        # The mean weight on the marked places: (rows, heads).
        return [[(found[p] * (m / m.sum())).sum((-2, -1)) for p in paths] for m in masks.values()]

    run = jit(step)
    parts: list[list[Array]] = [[] for _ in masks]
    rows = min(rows, sequences)
    with at_rest(model), no_grad():
        for start in range(0, sequences, rows):
            batch = tokens[start : start + rows]
            # The last batch is filled up, so that one Program serves all.
            whole = np.concatenate([batch, tokens[: rows - len(batch)]])
            for kept, layers in zip(parts, run(whole), strict=True):
                kept.append(np.stack([x.numpy() for x in layers], 1)[: len(batch)])
            if on_progress is not None:
                on_progress(min(start + rows, sequences), sequences)
    scores = {k: finite(np.concatenate(p), k) for k, p in zip(masks, parts, strict=True)}
    is_causal = _is_causal(model, tokens[:1], paths[0])
    time = tokens.shape[1]
    seen = np.arange(1, time + 1) if is_causal else np.full(time, time)
    chance = {k: float((m / seen[:, None]).sum() / m.sum()) for k, m in masks.items()}
    return HeadScores(scores, paths, chance)


def repeated_tokens(
    vocab: int | Sequence[int],
    length: int = 24,
    sequences: int = 32,
    first: int | None = None,
    seed: int = 0,
) -> Array:
    """Random tokens, each sequence repeated once: (sequences, 2 length), or one more with `first`.

    Within a part no token comes twice where there are enough. Errors: DataError.
    """
    words = np.arange(vocab) if isinstance(vocab, (int, np.integer)) else np.asarray(vocab)
    words = words[words != first] if first is not None else words
    if len(words) < 2 or length < 2 or sequences < 1:
        what = f"{len(words)} tokens, length {length}, {sequences} sequences"
        remedy = "at least two tokens, length 2 and one sequence"
        raise DataError(explain("induction_scores", what, remedy=remedy))
    rng = np.random.default_rng(seed)
    again = len(words) < length
    part = np.stack([rng.choice(words, length, replace=again) for _ in range(sequences)])
    start = [] if first is None else [np.full((sequences, 1), first)]
    return np.concatenate([*start, part, part], 1).astype(np.int64)


def _masks(length: int, has_first: bool) -> dict[str, Array]:
    """For each kind the places (queries, keys) that count, 1 or 0."""
    start = int(has_first)
    time = 2 * length + start
    query, key = np.arange(time)[:, None], np.arange(time)
    again = query >= start + length
    places = (
        (key == query - 1) & (query > start),
        (key == query - length) & again,
        (key == query - length + 1) & again,
    )
    return {k: p.astype(np.float32) for k, p in zip(KINDS, places, strict=True)}


def _is_causal(model: Model, tokens: Array, path: str) -> bool:
    with at_rest(model), no_grad():
        pattern = capture(model, tokens, path)[path].numpy()
    return not np.triu(pattern, 1).any()
