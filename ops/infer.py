"""Shape and dtype rules that many operators share."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_tx.dtypes import bool_, int64, is_float, is_integer
from tinygrad_tx.errors import DTypeError, IndexRangeError, Rejected, ShapeError, explain
from tinygrad_tx.graph.node import Aval

__all__ = [
    "alike",
    "check_indices",
    "check_range",
    "class_rows",
    "comparison",
    "float_rows",
    "floating",
    "floating_test",
    "integers",
    "keep",
    "logical",
    "logical_over_axes",
    "norm_weights",
    "numeric",
    "place_along",
    "reduced",
    "total",
]


def alike(*avals: Aval) -> Aval:
    """All of one shape and one dtype, which are the result's (the Builder has broadcast)."""
    first = avals[0]
    for other in avals[1:]:
        if other.shape != first.shape:
            raise Rejected(ShapeError, f"shapes differ: {first.shape} and {other.shape}")
        if other.dtype != first.dtype:
            raise Rejected(
                DTypeError,
                f"dtypes differ: {first.dtype} and {other.dtype}",
                "convert one with astype",
            )
    return first


def floating(*avals: Aval) -> Aval:
    """As `alike`, of a floating dtype."""
    result = alike(*avals)
    if not is_float(result.dtype):
        raise Rejected(
            DTypeError, f"takes floating-point numbers, got {result.dtype}", "use astype(float32)"
        )
    return result


def numeric(*avals: Aval) -> Aval:
    """As `alike`, of any dtype but bool."""
    result = alike(*avals)
    if result.dtype == bool_:
        raise Rejected(DTypeError, "takes numbers, got bool", "use astype(int32) first")
    return result


def integers(*avals: Aval) -> Aval:
    """As `alike`, of an integer dtype."""
    result = alike(*avals)
    if not is_integer(result.dtype):
        raise Rejected(DTypeError, f"takes integers, got {result.dtype}", "use astype(int64) first")
    return result


def logical(*avals: Aval) -> Aval:
    """As `alike`, all bool."""
    result = alike(*avals)
    if result.dtype != bool_:
        raise Rejected(DTypeError, f"takes bool, got {result.dtype}", "compare with != 0 first")
    return result


def comparison(*avals: Aval) -> Aval:
    """As `alike`; the result is bool."""
    return Aval(alike(*avals).shape, bool_)


def floating_test(*avals: Aval) -> Aval:
    """A floating-point operand; the result is bool."""
    return Aval(floating(*avals).shape, bool_)


def reduced(x: Aval, axes: tuple[int, ...], keepdims: bool) -> tuple[int, ...]:
    """The shape of `x` without `axes`, or with size 1 there."""
    if keepdims:
        return tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    return tuple(n for i, n in enumerate(x.shape) if i not in axes)


def keep(x: Aval, axes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a reduction with size 1 at `axes`: what broadcasts against `x`."""
    return reduced(x, axes, keepdims=True)


def total(x: Aval, axes: tuple[int, ...], keepdims: bool) -> Aval:
    """A sum or product over axes: of integers and bool it is int64."""
    return Aval(reduced(x, axes, keepdims), x.dtype if is_float(x.dtype) else int64)


def logical_over_axes(x: Aval, axes: tuple[int, ...], keepdims: bool) -> Aval:
    """Whether all or any are true, over axes."""
    return Aval(reduced(x, axes, keepdims), logical(x).dtype)


def place_along(x: Aval, axis: int, keepdims: bool) -> Aval:
    """The int64 place of one element along an axis that is not empty."""
    if x.shape[axis] == 0:
        raise Rejected(ShapeError, f"axis {axis} of {x.shape} is empty")
    return Aval(reduced(numeric(x), (axis,), keepdims), int64)


def check_indices(indices: Aval) -> None:
    """Integers, or an error."""
    if not is_integer(indices.dtype):
        raise Rejected(
            DTypeError, f"indices are {indices.dtype}, not integers", "use astype(int64)"
        )


def check_range(
    operation: str, indices: np.ndarray[Any, Any], size: int, wraps: bool = True
) -> None:
    """IndexRangeError where an index is outside -size ... size - 1, or 0 ... where not `wraps`."""
    lowest = -size if wraps else 0
    bad = indices[(indices < lowest) | (indices >= size)]
    if bad.size:
        what = f"index {bad.flat[0]} is out of range for an axis of size {size}"
        remedy = f"use indices from {lowest} to {size - 1}" if size else "the axis is empty"
        raise IndexRangeError(explain(operation, what, remedy=remedy))


def float_rows(*avals: Aval) -> Aval:
    """As `floating`, with a last axis that is not empty."""
    x = floating(*avals)
    if not x.shape or x.shape[-1] == 0:
        raise Rejected(ShapeError, f"works along the last axis, which {x.shape} lacks or has empty")
    return x


def norm_weights(x: Aval, *weights: Aval) -> None:
    """A weight for each place of the last axis of `x`, in its dtype."""
    for weight in weights:
        if weight.shape != x.shape[-1:] or weight.dtype != x.dtype:
            what = f"x is {x}, so weights must be {x.dtype}[{x.shape[-1]}], got {weight}"
            raise Rejected(ShapeError, what)


def class_rows(logits: Aval, targets: Aval) -> None:
    """Logits (rows, vocab) and one integer target a row."""
    check_indices(targets)
    if len(float_rows(logits).shape) != 2 or targets.shape != logits.shape[:1]:
        what = f"needs logits (rows, vocab) and targets (rows,), got {logits} and {targets}"
        raise Rejected(ShapeError, what)
