"""Learning rates by step: functions of the number of finished steps."""

from __future__ import annotations

import math
from collections.abc import Callable

from tinygrad_tx.missing import knows_arguments

__all__ = ["Schedule", "constant", "cosine", "linear"]

Schedule = Callable[[int], float]
"""The learning rate after so many finished steps."""


@knows_arguments
def constant(peak: float, warmup: int = 0) -> Schedule:
    """Rises in a line over `warmup` steps, then stays."""
    return lambda step: peak * _rise(step, warmup)


@knows_arguments
def linear(peak: float, steps: int, warmup: int = 0, floor: float = 0.0) -> Schedule:
    """After the rise falls in a line to `floor` at `steps`."""
    return lambda step: (
        _rise(step, warmup) * (floor + (peak - floor) * (1 - _done(step, steps, warmup)))
    )


@knows_arguments
def cosine(peak: float, steps: int, warmup: int = 0, floor: float = 0.0) -> Schedule:
    """After the rise falls along half a cosine to `floor` (Loshchilov and Hutter 2017, eq. 5)."""
    return lambda step: (
        _rise(step, warmup)
        * (floor + (peak - floor) * 0.5 * (1 + math.cos(math.pi * _done(step, steps, warmup))))
    )


def _rise(step: int, warmup: int) -> float:
    return min(1.0, (step + 1) / warmup) if warmup else 1.0


def _done(step: int, steps: int, warmup: int) -> float:
    return min(1.0, max(0.0, (step - warmup) / max(1, steps - warmup)))
