"""Loops along a row that vectorise: sums, maxima and dots of contiguous float32.

LLVM vectorises a sum when it may be reordered, but no maximum of floats that has to keep NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from tinygrad_tx.ops.kernels.kernel import floats, inline, int32s, kernel
from tinygrad_tx.ops.kernels.vecmath import float_of_bits

__all__ = ["add_blocks", "row_max", "row_moments", "row_sum"]

_ZERO = np.float32(0)
_NAN = np.float32(np.nan)
_LOWEST_KEY, _ALL_BUT_SIGN = np.int32(-(2**31)), np.int32(0x7FFFFFFF)
_INFINITE = np.int32(0x7F800000)  # the bits of infinity: any larger is a NaN


@inline
def row_sum(address: int, count: int) -> Any:
    """The sum of `count` floats."""
    x = floats(address, count)
    total = _ZERO
    for j in range(count):
        total += x[j]
    return total


@njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _product(x: Any, y: Any) -> Any:
    """x y rounded by itself: no fast maths draws it into what is added to it."""
    return x * y


@inline
def row_moments(address: int, count: int, epsilon: Any) -> Any:
    """The mean of `count` floats, and 1 / sqrt(variance + epsilon): the same bits for all."""
    x = floats(address, count)
    inverse = np.float32(1 / count)
    mean = _product(row_sum(address, count), inverse)
    square = _ZERO
    for j in range(count):
        d = x[j] - mean
        square += d * d
    variance = _product(square, inverse)
    return mean, np.float32(1) / np.sqrt(variance + epsilon)


@inline
def row_max(address: int, count: int) -> Any:
    """The largest of `count` floats; NaN if one is there.

    Compared as integers: their order is that of floats once the bits of negative numbers are
    turned, and LLVM vectorises it, which it does not for floats that may be NaN.
    """
    bits = int32s(address, count)
    best = _LOWEST_KEY
    largest = np.int32(0)
    for j in range(count):
        word = bits[j]
        size = np.int32(word & _ALL_BUT_SIGN)
        key = np.int32(word ^ np.int32(np.int32(word >> np.int32(31)) & _ALL_BUT_SIGN))
        best = key if key > best else best
        largest = size if size > largest else largest
    if largest > _INFINITE:
        return _NAN
    return float_of_bits(np.int32(best ^ np.int32(np.int32(best >> np.int32(31)) & _ALL_BUT_SIGN)))


@kernel("rows.add_blocks")
def add_blocks(ith: int, nth: int, operands: Any, arena: int) -> None:
    """The sum of the partial sums that blocks of rows left; its order is that of the blocks.

    Operands: blocks, width, floats from one block to the next, the first partial sum, the result.
    """
    width = operands[1]
    total = floats(operands[4], width)
    for j in range(width):
        total[j] = _ZERO
    for block in range(operands[0]):
        part = floats(operands[3] + 4 * block * operands[2], width)
        for j in range(width):
            total[j] += part[j]
