"""L-BFGS in float64: probes and temperatures are trained to convergence, not for some steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Minimum", "minimise"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Minimum:
    """Where it ended. gradient: its largest element there, by which convergence is judged."""

    place: Array
    value: float
    gradient: float
    steps: int
    converged: bool


def minimise(
    function: Callable[[Array], tuple[float, Array]],
    start: Array,
    tolerance: float = 1e-6,
    most: int = 1000,
    memory: int = 10,
) -> Minimum:
    """A minimum of `function`, which gives its value and its gradient.

    converged: whether no element of the gradient is above `tolerance`, within `most` steps.
    Source: Nocedal and Wright 2006, algorithms 7.4 and 7.5, with halved steps until Armijo's
    condition holds; a pair without positive curvature is left out.
    """
    x = np.asarray(start, np.float64).copy()
    value, slope = function(x)
    pairs: list[tuple[Array, Array, float]] = []
    for step in range(most):
        largest = float(np.abs(slope).max(initial=0.0))
        if largest <= tolerance or not np.isfinite(value):
            return Minimum(x, value, largest, step, bool(largest <= tolerance))
        way = -_times_inverse(pairs, slope)
        fall = float(slope @ way)
        if fall >= 0:  # Rounding has spoilt the pairs: begin again.
            pairs, way, fall = [], -slope, -float(slope @ slope)
        size = 1.0 if pairs else min(1.0, 1.0 / float(np.abs(slope).sum()))
        while True:
            there = x + size * way
            new_value, new_slope = function(there)
            if new_value <= value + 1e-4 * size * fall:
                break
            size /= 2
            if size < 1e-14:
                if not pairs:
                    return Minimum(x, value, largest, step, False)
                there, new_value, new_slope = x, value, slope
                break
        moved, turned = there - x, new_slope - slope
        curve = float(moved @ turned)
        if size < 1e-14:
            pairs = []
        elif curve > 1e-12 * float(turned @ turned):
            pairs = [*pairs[-memory + 1 :], (moved, turned, curve)]
        x, value, slope = there, new_value, new_slope
    largest = float(np.abs(slope).max(initial=0.0))
    return Minimum(x, value, largest, most, largest <= tolerance)


def _times_inverse(pairs: list[tuple[Array, Array, float]], slope: Array) -> Array:
    """The two-loop recursion: the inverse Hessian that the pairs imply, times the gradient."""
    way, factors = slope.copy(), []
    for moved, turned, curve in reversed(pairs):
        factor = float(moved @ way) / curve
        factors.append(factor)
        way -= factor * turned
    if pairs:
        moved, turned, curve = pairs[-1]
        way *= curve / float(turned @ turned)
    for (moved, turned, curve), factor in zip(pairs, reversed(factors), strict=True):
        way += moved * (factor - float(turned @ way) / curve)
    return way
