"""Successive halving: after some steps the worse half of the trials ends there.

Source: Jamieson and Talwalkar 2016, "Non-stochastic best arm identification and hyperparameter
optimization", algorithm 1; with the rungs of one bracket of Li et al. 2018 (Hyperband), eta = 2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tinygrad_tx.errors import DataError, explain

__all__ = ["Halving"]


@dataclass(frozen=True)
class Halving:
    """When a search stops trials that fall behind: the worse half, several times.

    steps: of a trial that is not stopped. least: before the first halving.
    """

    steps: int
    least: int

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.steps:
            what = f"the first after {self.least} steps, of {self.steps}"
            raise DataError(explain("halving", what, remedy="name fewer steps"))

    @classmethod
    def of(cls, steps: int) -> Halving:
        """Not before an eighth of the steps: earlier losses say little of later ones."""
        return cls(steps, max(1, steps // 8))

    def rungs(self, trials: int) -> tuple[int, ...]:
        """Steps after which the worse half ends: r, 2r, 4r, ..., all below `steps`.

        Until one trial is left, as far as `least` leaves room for: r = steps / 2^k, rounded down.
        """
        wanted = max(0, math.ceil(math.log2(max(1, trials))))
        room = max(0, int(math.log2(self.steps / self.least)))
        count = min(wanted, room)
        first = self.steps >> count
        return tuple(first << i for i in range(count))

    def worse_half(self, losses: Mapping[int, float]) -> list[int]:
        """Which of them end: all but the better half, rounded down, at least one."""
        kept = max(1, len(losses) // 2)
        return sorted(losses, key=lambda i: (losses[i], i))[kept:]
