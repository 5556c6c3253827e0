"""Sample calls that many operators share: how arrays are drawn, and in which shapes.

An operator's row in the tests says it in one line: `TestRow(elementwise(normal, away_from_zero))`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_tx.graph.node import Sample
from tinygrad_tx.shapes import Shape

__all__ = [
    "along_axis",
    "away_from_zero",
    "between_integers",
    "booleans",
    "elementwise",
    "few_values",
    "integers_from",
    "normal",
    "one_of",
    "over_axes",
    "rowwise",
    "uniform",
]

Draw = Callable[[np.random.Generator, Shape], np.ndarray[Any, Any]]
Samples = Callable[[np.random.Generator], Iterator[Sample]]


def normal(rng: np.random.Generator, shape: Shape) -> np.ndarray[Any, Any]:
    return np.asarray(rng.normal(size=shape))


def uniform(low: float, high: float) -> Draw:
    return lambda rng, shape: np.asarray(rng.uniform(low, high, size=shape))


def integers_from(low: int, high: int) -> Draw:
    """From `low` to below `high`."""
    return lambda rng, shape: np.asarray(rng.integers(low, high, size=shape))


def one_of(*values: float) -> Draw:
    return lambda rng, shape: np.asarray(rng.choice(values, size=shape))


def few_values(rng: np.random.Generator, shape: Shape) -> np.ndarray[Any, Any]:
    """Floats of which many are equal."""
    return np.asarray(rng.integers(-2, 3, size=shape), np.float64)


def booleans(rng: np.random.Generator, shape: Shape) -> np.ndarray[Any, Any]:
    return np.asarray(rng.integers(0, 2, size=shape), np.bool_)


def away_from_zero(rng: np.random.Generator, shape: Shape) -> np.ndarray[Any, Any]:
    """Of either sign, where a kink or a pole at 0 is not met."""
    return np.asarray(rng.choice([-1.0, 1.0], size=shape) * rng.uniform(0.2, 2.0, size=shape))


def between_integers(rng: np.random.Generator, shape: Shape) -> np.ndarray[Any, Any]:
    """Away from integers and from halves, where rounding jumps."""
    return np.asarray(rng.integers(-3, 3, size=shape) + rng.uniform(0.1, 0.4, size=shape))


def _of_one_shape(shapes: tuple[Shape, ...], draws: tuple[Draw, ...], nan: bool) -> Samples:
    def samples(rng: np.random.Generator) -> Iterator[Sample]:
        for shape in shapes:
            yield Sample(tuple(draw(rng, shape) for draw in draws), nan=nan)

    return samples


def elementwise(*draws: Draw, nan: bool = True) -> Samples:
    """An array from each draw, all of one shape: 0-d, a row, a matrix, an empty one."""
    return _of_one_shape(((), (3,), (2, 3), (0, 4)), draws, nan)


def rowwise(*draws: Draw) -> Samples:
    """As `elementwise`, with a last axis that is never empty."""
    return _of_one_shape(((3,), (2, 5), (2, 3, 4), (0, 4), (2, 1)), draws, nan=True)


def over_axes(draw: Draw, *, of_nothing: bool = True) -> Samples:
    """For reductions over `axes`. of_nothing: whether that of no elements is defined."""
    cases = (((3,), (0,)), ((2, 3), (1,)), ((2, 3, 4), (0, 2)), ((), ()))

    def samples(rng: np.random.Generator) -> Iterator[Sample]:
        for shape, axes in (*cases, ((0, 4), (0,))) if of_nothing else cases:
            for keepdims in (False, True):
                yield Sample((draw(rng, shape),), {"axes": axes, "keepdims": keepdims})

    return samples


def along_axis(draw: Draw) -> Samples:
    """For reductions along one `axis` that is not empty."""

    def samples(rng: np.random.Generator) -> Iterator[Sample]:
        for shape, axis in (((3,), 0), ((2, 3), 1), ((2, 3), 0)):
            for keepdims in (False, True):
                yield Sample((draw(rng, shape),), {"axis": axis, "keepdims": keepdims})

    return samples
