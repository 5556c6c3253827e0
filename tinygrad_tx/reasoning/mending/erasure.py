"""Concept erasure: the affine map that takes a concept out of activations and changes least else.

Sxx = Cov(x, x), Sxz = Cov(x, z), W = (Sxx^1/2)^+, Q the orthogonal projection on W Sxz's columns:

    r(x) = x - W^+ Q W (x - E x)            then Cov(r(x), z) = (I - W^+ Q W) Sxz = 0
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import (
    DataError,
    GraphError,
    IndexRangeError,
    NonFiniteError,
    ShapeError,
    explain,
)
from tinygrad_tx.models.generation import Causal
from tinygrad_tx.nn import Module
from tinygrad_tx.reasoning.change import Change, Indices, Where
from tinygrad_tx.reasoning.changed import Changed
from tinygrad_tx.reasoning.look import Patterns, capture, look, points
from tinygrad_tx.reasoning.mending.edit import Edit
from tinygrad_tx.reasoning.point import matching
from tinygrad_tx.table import Table, shown_as_table
from tinygrad_tx.tensor import Tensor, no_grad
from tinygrad_tx.tensor.tensor import as_tensor

__all__ = ["Eraser", "Guard", "erase", "erase_words", "eraser", "erasers", "guardedness", "one_hot"]

Array = np.ndarray[Any, Any]

WAYS = ("leace", "means", "inlp")
ROUNDS = 32
"""Directions that INLP takes out at most for each column of the concept."""


@dataclass(frozen=True)
class Eraser:
    """x -> x - ((x - mean) @ right) @ left. Shapes: mean (width,), right (width, rank), left (rank,
    width). how: "leace", "means" or "inlp". All in float64; a Change computes in the model's type.
    """

    mean: Array
    right: Array
    left: Array
    how: str

    @property
    def rank(self) -> int:
        """How many directions are gone."""
        return int(self.right.shape[1])

    def __call__(self, x: Array) -> Array:
        """Activations (..., width) without the concept, in float64."""
        return np.asarray(x - ((np.asarray(x, np.float64) - self.mean) @ self.right) @ self.left)

    def matrix(self) -> Array:
        """P of r(x) = x - (x - mean) P: (width, width); P P = P."""
        return np.asarray(self.right @ self.left)

    def change(self, **part: Indices) -> Change:
        """As what is put at a point, for `intervene` and `Changed`. part: as in `Where`."""

        def without(x: Tensor) -> Tensor:
            mean, right, left = (
                as_tensor(a.astype(x.dtype)) for a in (self.mean, self.right, self.left)
            )
            return x - ((x - mean) @ right) @ left

        return Change(function=without, where=Where(**part))


def eraser(x: Any, concept: Any, how: str = "leace") -> Eraser:
    """The map that takes `concept` out of x.

    x: (examples, width). concept: labels (examples,), or numbers (examples, columns). how:
    "leace": of all affine maps after which no linear probe does better than a constant, for any
    convex loss, the one that moves x least, in every norm that a matrix defines. "means": the
    orthogonal projection off the columns of Cov(x, concept) (for two classes: off the difference of
    their means); it guards as well and moves x more. "inlp": the orthogonal projection off one
    least-squares probe after another; it moves most. All hold for linear probes alone: what is
    encoded otherwise stays, and on other examples than these the concept is gone approximately.
    Errors: ShapeError, DataError for one class alone, NonFiniteError.
    Source: Belrose et al. 2023, theorem 4.3 (LEACE); Bolukbasi et al. 2016, Shao et al. 2023
    (projection off the covariance); Ravfogel et al. 2020 (INLP), here with least squares.
    """
    if how not in WAYS:
        what = f"how is {how!r}"
        raise DataError(explain("eraser", what, remedy=f"it is one of {', '.join(WAYS)}"))
    x = np.asarray(x, np.float64)
    if x.ndim != 2:
        raise ShapeError(explain("eraser", f"x is {x.shape}, not (examples, width)"))
    z = one_hot(concept, len(x))
    if not (np.isfinite(x).all() and np.isfinite(z).all()):
        raise NonFiniteError(explain("eraser", "the activations or the concept are not finite"))
    mean = x.mean(0)
    centred, z = x - mean, z - z.mean(0)
    cross = centred.T @ z / len(x)  # (width, columns)
    if how == "leace":
        right, left = _leace(centred.T @ centred / len(x), cross, float(np.abs(z).max(initial=0.0)))
    elif how == "means":
        right = _basis(cross, float(np.abs(centred).max(initial=0.0) * np.abs(z).max(initial=0.0)))
        left = right.T
    else:
        right = _inlp(centred, z)
        left = right.T
    return Eraser(mean, right, left, how)


def erasers(
    model: Any,
    inputs: Any,
    concept: Any,
    at: Patterns,
    *,
    positions: Any = -1,
    how: str = "leace",
) -> dict[str, Eraser]:
    """An eraser for each point that `at` names, each made on what comes behind those before it.

    inputs: tokens (batch, time). concept: for each example. positions: where in each example the
    concept is read, a number or (batch,); or a mask (batch, time), and the concept is for each
    token that it names, in order. The map is right for what is like these activations: fitted on
    few kinds of text, and put everywhere, it may move others far. Source: Belrose et al. 2023,
    section 6 (one layer after the other, so that a later one cannot restore what an earlier one
    erased).
    """
    patterns = [at] if isinstance(at, str) else list(at)
    args = inputs if isinstance(inputs, tuple) else (inputs,)
    paths = matching(patterns, points(model, *(np.asarray(a) for a in args)))
    found: dict[str, Eraser] = {}
    for path in paths:
        changes = {p: e.change() for p, e in found.items()}
        with no_grad():
            seen = look(model, inputs, path, changes)
        found[path] = eraser(_rows(seen[path].numpy(), positions, path), concept, how)
    return found


def erase(
    model: Causal,
    inputs: Any,
    concept: Any,
    at: Patterns,
    *,
    positions: Any = -1,
    how: str = "leace",
) -> Changed:
    """`model` with the concept taken out of the points `at`, at all positions; as `erasers`.

    Linear probes there cannot find it any more; what the model computes from earlier points by
    another way it still has. Errors: as `eraser`, PointError.
    """
    found = erasers(model, inputs, concept, at, positions=positions, how=how)
    return Changed(model, {path: e.change() for path, e in found.items()})


def erase_words(model: Module, tokens: Any, concept: Any, how: str = "leace") -> Edit:
    """The edit that takes the concept out of these words' rows of the embedding, and of no others.

    tokens: (words,). concept: a label or numbers for each. Words whose meaning is the concept (he
    and she, names) are left out and stay as they are. Where the embedding is the output's matrix
    too, how likely the words are moves as well. Errors: as `eraser`, GraphError. Source: Bolukbasi
    et al. 2016, section 6 ("neutralize"), here with the projection that moves least.
    """
    found = [p for p in ("embedding.weight",) if p in dict(model.named_parameters())]
    if not found:
        what = f"{type(model).__name__} has no embedding.weight"
        raise GraphError(explain("erase_words", what, remedy="erase at a point instead"))
    table = dict(model.named_parameters())[found[0]].numpy()
    rows = np.asarray(tokens, np.int64)
    if rows.ndim != 1 or len(set(rows.tolist())) < len(rows) or not len(rows):
        what = f"tokens of shape {rows.shape}, or one given twice"
        raise ShapeError(explain("erase_words", what))
    if (rows < 0).any() or (rows >= len(table)).any():
        what = f"tokens up to {rows.max()} for {len(table)} rows"
        raise IndexRangeError(explain("erase_words", what))
    after = table.copy()
    after[rows] = eraser(table[rows], concept, how)(table[rows])
    return Edit(model, {found[0]: table.copy()}, {found[0]: after})


@shown_as_table
@dataclass(frozen=True)
class Guard:
    """What least-squares probes find on examples that the erasers did not see, at each point.

    before, after: accuracy of a probe fitted on some of these examples, on the others. transferred:
    that of a probe fitted on the erasers' own examples, or None. chance: the share of the likeliest
    class. moved: mean squared change over mean squared distance from the mean.
    """

    paths: tuple[str, ...]
    before: Array
    after: Array
    moved: Array
    chance: float
    count: int
    transferred: Array | None = None

    def table(self) -> Table:
        given = self.transferred
        other = [None] * len(self.paths) if given is None else [float(t) for t in given]
        rows = tuple(
            (path, float(b), float(a), t, self.chance, float(m))
            for path, b, a, t, m in zip(
                self.paths, self.before, self.after, other, self.moved, strict=True
            )
        )
        columns = ("point", "probe before", "probe after", "from the first", "chance", "moved")
        notes = (
            f"accuracy of a new least-squares probe on {self.count} held-out examples; from the "
            "first: of one fitted on the erasers' examples. A new probe may find again what a "
            "held-out sample mixes in other shares",
        )
        return Table("What a linear probe still finds", columns, rows, notes)


def guardedness(
    model: Any,
    inputs: Any,
    concept: Any,
    found: Mapping[str, Eraser],
    *,
    positions: Any = -1,
    first: tuple[Any, Any, Any] | None = None,
    share: float = 0.5,
    seed: int = 0,
) -> Guard:
    """How well a probe trained on `share` of other examples finds the labels in the rest.

    inputs, concept: examples that the erasers were not made on, with labels. first: those that they
    were made on, as (inputs, concept, positions): a probe fitted there is asked here too. The
    erasers promise nothing for a sample of other shares: where activations have little noise a
    new probe finds even a small covariance that is left. Errors: DataError.
    """
    labels = np.asarray(concept)
    if labels.ndim != 1 or len(labels) < 4:
        raise DataError(explain("guardedness", f"{labels.shape} labels, not (examples >= 4,)"))
    order = np.random.default_rng(seed).permutation(len(labels))
    cut = max(2, int(share * len(labels)))
    fit, rest = order[:cut], order[cut:]
    changes = {p: e.change() for p, e in found.items()}
    with no_grad():
        plain = capture(model, inputs, list(found))
        erased = look(model, inputs, list(found), changes)
        seen = None if first is None else look(model, first[0], list(found), changes)
    scores, others = [], []
    for path in found:
        x, r = (_rows(a[path].numpy(), positions, path) for a in (plain, erased))
        alone = found[path](x)
        moved = ((alone - x) ** 2).sum() / max(((x - x.mean(0)) ** 2).sum(), 1e-300)
        probes = [_accuracy(v[fit], labels[fit], v[rest], labels[rest]) for v in (x, r)]
        scores.append((*probes, moved))
        if first is not None and seen is not None:
            own = _rows(seen[path].numpy(), first[2], path)
            others.append(_accuracy(own, np.asarray(first[1]), r[rest], labels[rest]))
    before, after, moves = np.array(scores).T
    _, counts = np.unique(labels[rest], return_counts=True)
    chance = float(counts.max() / counts.sum())
    transferred = np.array(others) if others else None
    return Guard(tuple(found), before, after, moves, chance, len(rest), transferred)


def one_hot(concept: Any, examples: int) -> Array:
    """Labels as columns of 0 and 1, one for each class; numbers (examples, columns) as they are."""
    z = np.asarray(concept)
    if len(z) != examples or z.ndim not in (1, 2):
        what = f"a concept of shape {z.shape} for {examples} examples"
        raise ShapeError(explain("eraser", what, remedy="give a label or a row for each"))
    if z.ndim == 2:
        return z.astype(np.float64)
    classes, which = np.unique(z, return_inverse=True)
    if len(classes) < 2:
        what = f"all {examples} examples are of the class {classes.tolist()}"
        raise DataError(explain("eraser", what, remedy="give examples of two classes or more"))
    return np.eye(len(classes))[which]


def _leace(covariance: Array, cross: Array, size: float) -> tuple[Array, Array]:
    """right and left of x - (x - mean) right left, for rows x. size: that of the concept."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > values.max(initial=0.0) * len(values) * np.finfo(np.float64).eps * 8
    root, basis = np.sqrt(values[kept]), vectors[:, kept]
    whitened = (basis / root).T @ cross  # (rank of x, columns)
    columns = _basis(whitened, size)
    # W^+ Q W for columns x is (W Q W^+) transposed for rows x.
    return (basis / root) @ columns, columns.T @ (basis * root).T


def _basis(columns: Array, size: float) -> Array:
    """Orthonormal columns that span those given; what is rounding alone is no direction."""
    left, values, _ = np.linalg.svd(columns, full_matrices=False)
    least = max(1e-10 * float(values.max(initial=0.0)), 1e-12 * size)
    return np.asarray(left[:, values > least])


def _inlp(x: Array, z: Array) -> Array:
    """Directions of least-squares probes, each fitted after those before it are projected out."""
    width = x.shape[1]
    gone = np.zeros((width, 0))
    start = float(np.linalg.norm(x.T @ z))
    for _ in range(min(ROUNDS, width)):
        left = x - (x @ gone) @ gone.T
        if np.linalg.norm(left.T @ z) <= 1e-10 * max(start, 1e-300):
            break
        probe = np.linalg.lstsq(left, z, rcond=1e-10)[0]
        probe -= gone @ (gone.T @ probe)
        gone = np.linalg.qr(np.concatenate([gone, _basis(probe, 0.0)], 1))[0]
    return gone


def _rows(x: Array, positions: Any, path: str) -> Array:
    """The activations where the concept is read: (batch, width)."""
    if x.ndim != 3:
        what = f"{path} has shape {x.shape}, not (batch, time, width)"
        raise ShapeError(explain("erase", what, remedy="erase in the residual stream"))
    given = np.asarray(positions)
    if given.dtype == bool:
        if given.shape != x.shape[:2]:
            what = f"a mask of shape {given.shape} for texts of shape {x.shape[:2]}"
            raise ShapeError(explain("erase", what))
        return np.asarray(x[given], np.float64)
    places = np.broadcast_to(given, (len(x),))
    if (places >= x.shape[1]).any() or (places < -x.shape[1]).any():
        what = f"positions up to {places.max()} in texts of {x.shape[1]} tokens"
        raise ShapeError(explain("erase", what))
    return np.asarray(x[np.arange(len(x)), places], np.float64)


def _accuracy(x: Array, labels: Array, others: Array, truth: Array) -> float:
    """Of a least-squares probe with a constant and a little ridge."""
    classes, which = np.unique(labels, return_inverse=True)
    mean, spread = x.mean(0), x.std() or 1.0
    features = np.concatenate([(x - mean) / spread, np.ones((len(x), 1))], 1)
    gram = features.T @ features + 1e-3 * len(x) * np.eye(features.shape[1])
    weights = np.linalg.solve(gram, features.T @ np.eye(len(classes))[which])
    scores = np.concatenate([(others - mean) / spread, np.ones((len(others), 1))], 1) @ weights
    return float((classes[scores.argmax(1)] == truth).mean())
