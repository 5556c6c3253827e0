"""Loops along a row that vectorise: sums, maxima and dots of contiguous float32.

LLVM vectorises a sum when it may be reordered, but no maximum that has to keep NaN: that one is
taken in fixed groups by a select, and a NaN is found by the sum of x - x.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_tx.ops.kernels.kernel import floats, inline

__all__ = ["row_max", "row_sum"]

_ZERO = np.float32(0)
_LOWEST = np.float32(-np.inf)
_WIDTH = 16


@inline
def row_sum(address: int, count: int) -> Any:
    """The sum of `count` floats."""
    x = floats(address, count)
    total = _ZERO
    for j in range(count):
        total += x[j]
    return total


@inline
def row_max(address: int, count: int) -> Any:
    """The largest of `count` floats; NaN if one is there."""
    x = floats(address, count)
    best = _LOWEST
    broken = _ZERO
    for j in range(count):
        value = x[j]
        best = value if value > best else best
        broken = value if value != value else broken
    return broken if broken != broken else best
