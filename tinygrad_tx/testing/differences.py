"""Slopes by finite differences, with what they are worth.

For g(t) and steps h, h/4, h/16, ...: D(h) = (g(h) - g(-h)) / 2h has an error of order h^2, and
R = (16 D(h/4) - D(h)) / 15 one of order h^4 (Richardson 1911). Two neighbours R tell the error that
is left; rounding adds EPSILON * |g| / h. The R whose larger error is smallest is taken. With
h = 2^-8 the best is reached near h = 10^-3 for functions of moderate size, with some 10 digits.

At a kink the slopes from the right and from the left differ however small h is: the difference
(g(h) - 2 g(0) + g(-h)) / h stays, where that of a smooth function shrinks with h. The slopes
themselves come from (16 g(h) - g(4h) - 15 g(0)) / 12 h.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["EPSILON", "KINK", "Slope", "one_sided", "slope"]

EPSILON = 2.0**-52
FIRST_STEP = 2.0**-8
STEPS = tuple(FIRST_STEP / 4**k for k in range(6))
ROUNDING = 16.0  # a sum of many terms loses a few more bits than one
KINK = 1e-4  # relative difference of one-sided slopes


@dataclass(frozen=True, slots=True)
class Slope:
    """g'(0) and a bound of its error; at a kink the slopes of both sides."""

    value: float
    error: float
    left: float
    right: float
    is_kink: bool

    @property
    def is_known(self) -> bool:
        return bool(np.isfinite(self.value))

    def excess(self, claimed: float, relative: float) -> float:
        """How far `claimed` is off, as a share of what is allowed: above 1 it is wrong.

        Allowed: 10 times the error of the difference, and `relative` of the larger value.
        """
        if not np.isfinite(claimed):
            return float("inf")
        allowed = 10 * self.error + relative * max(abs(claimed), abs(self.value)) + 1e-300
        return abs(claimed - self.value) / allowed


def slope(g: Callable[[float], tuple[float, float]]) -> Slope:
    """The slope of g at 0. g(t) gives a value, and the size of the terms it is the sum of."""
    middle, size = g(0.0)
    ahead = [g(h) for h in STEPS]
    behind = [g(-h) for h in STEPS]
    size = max([size, *(s for _, s in (*ahead, *behind) if np.isfinite(s))])
    with np.errstate(all="ignore"):
        central = [(a[0] - b[0]) / (2 * h) for h, a, b in zip(STEPS, ahead, behind, strict=True)]
        sharper = [(16 * fine - rough) / 15 for rough, fine in itertools.pairwise(central)]
        value, error = float("nan"), float("inf")
        for k in range(1, len(sharper)):
            left_over = abs(sharper[k] - sharper[k - 1])
            here = max(left_over, ROUNDING * EPSILON * size / STEPS[k + 1])
            if np.isfinite(here) and here < error:
                value, error = sharper[k], here
        right = one_sided(ahead[4][0], ahead[3][0], middle)
        left = -one_sided(behind[4][0], behind[3][0], middle)
        wide, narrow = (_jump(ahead[k][0], behind[k][0], middle, STEPS[k]) for k in (3, 4))
        noise = 10 * ROUNDING * EPSILON * size / STEPS[4]
        stays = narrow > 0.5 * wide  # a curve's would be a quarter
        is_kink = bool(stays and narrow > KINK * (abs(right) + abs(left)) + noise)
    return Slope(value, error, left, right, is_kink)


def _jump(ahead: float, behind: float, middle: float, h: float) -> float:
    """By how much the slopes of both sides seem to differ."""
    return abs(ahead - 2 * middle + behind) / h


def one_sided(near: Any, far: Any, middle: Any) -> Any:
    """The slope to one side, from values at STEPS[4], STEPS[3] and 0; of arrays by element."""
    return (16 * near - far - 15 * middle) / (12 * STEPS[4])
