"""Arithmetic on shapes, axes and strides. Sizes and strides count elements, never bytes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from tinygrad_tx.errors import ArgumentError, AxisError, ShapeError, explain

__all__ = [
    "Shape",
    "axes_of",
    "axis_of",
    "broadcast_shapes",
    "contiguous_strides",
    "divisors",
    "reshape_strides",
    "size_of",
]

Shape = tuple[int, ...]

LARGEST_DIVISOR = 1 << 16


def size_of(shape: Sequence[int]) -> int:
    """Number of elements; 1 for the empty shape."""
    return prod(shape)


def divisors(number: int) -> list[int]:
    """What divides `number`, up to LARGEST_DIVISOR: a number from a file may be of any size."""
    return [d for d in range(1, min(number, LARGEST_DIVISOR) + 1) if number % d == 0]


def axis_of(axis: int, ndim: int, operation: str) -> int:
    """`axis` counted from the front. Errors: AxisError when it is out of range, ArgumentError."""
    if not isinstance(axis, (int, np.integer)):
        what = f"axis is {_shown(axis)}, not a whole number"
        remedy = "give tensors as one list, several axes as one tuple"
        raise ArgumentError(explain(operation, what, remedy=remedy))
    if not -ndim <= axis < ndim:
        raise AxisError(
            explain(
                operation,
                f"axis {axis} is out of range for {ndim} dimension{'s' * (ndim != 1)}",
                remedy=f"use an axis from {-ndim} to {ndim - 1}"
                if ndim
                else "a 0-d tensor has no axis",
            )
        )
    return int(axis) % ndim


def _shown(value: Any) -> str:
    """A value in a message: a tensor by its kind, which is enough."""
    return f"a {type(value).__name__}" if hasattr(value, "shape") else repr(value)


def axes_of(axis: int | Sequence[int] | None, ndim: int, operation: str) -> tuple[int, ...]:
    """Axes counted from the front, sorted; all of them for None. Errors: ShapeError on a repeat."""
    if axis is None:
        return tuple(range(ndim))
    given = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    axes = sorted(axis_of(a, ndim, operation) for a in given)
    if len(set(axes)) != len(axes):
        raise ShapeError(explain(operation, f"axis {given} names a dimension twice"))
    return tuple(axes)


def broadcast_shapes(*shapes: Shape) -> Shape | None:
    """The common shape under array API broadcasting, or None where there is none."""
    ndim = max((len(s) for s in shapes), default=0)
    result = [1] * ndim
    for shape in shapes:
        for i, size in enumerate(shape, ndim - len(shape)):
            if result[i] == 1:
                result[i] = size
            elif size not in (1, result[i]):
                return None
    return tuple(result)


def contiguous_strides(shape: Sequence[int]) -> Shape:
    """C-order strides."""
    strides = [1] * len(shape)
    for i in range(len(shape) - 2, -1, -1):
        strides[i] = strides[i + 1] * max(shape[i + 1], 1)
    return tuple(strides)


def reshape_strides(shape: Shape, strides: Shape, target: Shape) -> Shape | None:
    """Strides that show the same elements under the shape `target`, or None if a copy is needed.

    Dimensions are taken in runs: a run of the old shape and a run of the new one with equal sizes
    match when the old run is contiguous within itself.
    """
    if size_of(shape) == 0:
        return contiguous_strides(target)
    old = [(n, s) for n, s in zip(shape, strides, strict=True) if n != 1]
    result = [1] * len(target)
    i = 0
    j = 0
    while j < len(target):
        if target[j] == 1:
            j += 1
            continue
        first, size, end = i, old[i][0], i + 1
        last, wanted = j + 1, target[j]
        while size != wanted:
            if size < wanted:
                size *= old[end][0]
                end += 1
            else:
                wanted *= target[last]
                last += 1
        for k in range(first, end - 1):
            if old[k][1] != old[k + 1][0] * old[k + 1][1]:
                return None
        step = old[end - 1][1]
        for k in range(last - 1, j - 1, -1):
            result[k] = step
            step *= target[k]
        i, j = end, last
    return tuple(result)
