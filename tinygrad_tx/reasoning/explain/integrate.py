"""Integrate: the slopes of a target gathered on the straight way from a baseline to an input.

    (x - x') . integral over a in [0, 1] of dF/dx at x' + a (x - x')

By fixed places, or by halving those pieces of the way on which the slopes do not account for how
the target moves: what it is at both ends of a piece is known, so that each has a gap of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import explain
from tinygrad_tx.reasoning.explain.along import Along, checked_rows

__all__ = ["integrated", "quadrature"]

Array = np.ndarray[Any, Any]
Pair = tuple[float, float]
POINTS = 4  # of Gauss and Legendre in each piece
TOLERANCE, NOISE = 1e-3, 1e-5
"""Of the gap: relative to how far the target moves, and what float32 cannot see."""


def integrated(
    along: Along,
    example: int,
    base: Array,
    steps: int,
    rule: str = "adaptive",
    rows: int = 8,
    on_done: Callable[[int, int], None] = lambda done, every: None,
) -> tuple[Array, float]:
    """(x - x') times the mean slope, like x; and the target at x' = base.

    steps: points, at most. rule: "adaptive", or "gauss" or "midpoint" which take all of them at
    fixed places. rows: points side by side. Errors: ValueError.
    """
    checked_rows(rows)
    way = _Way(along, example, np.asarray(base, np.float64), rows)
    if rule == "adaptive":
        return _halved(way, steps, on_done)
    places, weights = quadrature(steps, rule)
    (scores,) = way.scores(places[None], weights[None])
    on_done(steps, steps)
    return scores, way.targets([0.0])[0]


def quadrature(points: int, rule: str) -> tuple[Array, Array]:
    """Places within 0 and 1, and weights that sum to 1. Errors: ValueError."""
    if points < 1:
        raise ValueError(explain("integrated_gradients", f"steps is {points}, not at least 1"))
    if rule == "midpoint":
        return (np.arange(points) + 0.5) / points, np.full(points, 1 / points)
    if rule != "gauss":
        what = f"rule {rule!r} is not adaptive, gauss or midpoint"
        raise ValueError(explain("integrated_gradients", what))
    places, weights = np.polynomial.legendre.leggauss(points)
    return (places + 1) / 2, weights / 2


@dataclass(frozen=True)
class _Piece:
    """A piece of the way. low, high: the target at its ends; scores: what its slopes give."""

    ends: Pair
    low: float
    high: float
    scores: Array

    @property
    def gap(self) -> float:
        return abs(float(self.scores.sum()) - (self.high - self.low))


class _Way:
    """The way from the baseline to the values of one example."""

    def __init__(self, along: Along, example: int, base: Array, rows: int) -> None:
        self.along, self.example, self.base, self.rows = along, example, base, rows
        self.way = along.values[example].astype(np.float64) - base

    def scores(self, places: Array, weights: Array) -> list[Array]:
        """For each piece (a row of places) the weighted sum of slopes, times the way."""
        found = [np.zeros_like(self.way) for _ in places]
        flat, owner = places.reshape(-1), np.repeat(np.arange(len(places)), places.shape[1])
        for first in range(0, len(flat), self.rows):
            some = slice(first, first + self.rows)
            _, slopes = self.along.slopes(self.example, self._at(flat[some]), self.rows)
            for row, piece, weight in zip(
                slopes, owner[some], weights.reshape(-1)[some], strict=True
            ):
                found[piece] += weight * row.astype(np.float64)
        return [self.way * total for total in found]

    def targets(self, places: Sequence[float]) -> list[float]:
        """The target at places on the way."""
        found: list[float] = []
        for first in range(0, len(places), self.rows):
            at = self._at(np.array(places[first : first + self.rows]))
            found += self.along.measured(self.example, at, self.rows).tolist()
        return found

    def _at(self, places: Array) -> Array:
        moved: Array = self.base + places.reshape(-1, *(1 for _ in self.way.shape)) * self.way
        return moved


def _halved(way: _Way, steps: int, on_done: Callable[[int, int], None]) -> tuple[Array, float]:
    """The adaptive rule: as many pieces side by side as rows have room for."""
    if steps < POINTS:  # not enough for one piece
        places, weights = quadrature(steps, "gauss")
        on_done(steps, steps)
        return way.scores(places[None], weights[None])[0], way.targets([0.0])[0]
    together = max(1, min(way.rows, steps) // POINTS)
    ends = np.linspace(0, 1, together + 1)
    todo = [(float(a), float(b)) for a, b in itertools.pairwise(ends)]
    known: dict[float, float] = {}
    pieces: list[_Piece] = []
    while True:
        new = sorted({e for piece in todo for e in piece} - known.keys())
        known.update(zip(new, way.targets(new), strict=True))
        pieces += _pieces(way, todo, known)
        used = POINTS * (2 * len(pieces) - together)  # those that were halved count too
        on_done(min(used, steps), steps)
        allowed = TOLERANCE * abs(known[1.0] - known[0.0]) + NOISE
        pieces.sort(key=lambda p: p.gap)
        if sum(p.gap for p in pieces) <= allowed or used + 2 * POINTS > steps:
            break
        room = min(max(1, together // 2), len(pieces), (steps - used) // (2 * POINTS))
        worst = [pieces.pop() for _ in range(room)]
        todo = [half for p in worst for half in _halves(p.ends)]
    on_done(steps, steps)
    total: Array = np.sum([p.scores for p in pieces], axis=0)
    return total, known[0.0]


def _pieces(way: _Way, todo: Sequence[Pair], known: dict[float, float]) -> list[_Piece]:
    places, weights = quadrature(POINTS, "gauss")
    starts, ends = np.array(todo).T
    lengths = (ends - starts)[:, None]
    scores = way.scores(starts[:, None] + lengths * places, lengths * weights)
    return [_Piece(p, known[p[0]], known[p[1]], s) for p, s in zip(todo, scores, strict=True)]


def _halves(ends: Pair) -> tuple[Pair, Pair]:
    middle = (ends[0] + ends[1]) / 2
    return (ends[0], middle), (middle, ends[1])
