"""Selecting elements by index."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinygrad_tx.dtypes import is_integer
from tinygrad_tx.errors import DTypeError, ShapeError, explain
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.place import current_scope, user_place
from tinygrad_tx.shapes import axis_of
from tinygrad_tx.tensor.elementwise import clip, equal, logical_not
from tinygrad_tx.tensor.shape import reshape
from tinygrad_tx.tensor.tensor import Tensor, TensorLike, as_tensor, build, promoted, wrap

__all__ = [
    "argsort",
    "isin",
    "nonzero",
    "one_hot",
    "scatter_add",
    "searchsorted",
    "sort",
    "take",
    "take_along_axis",
    "topk",
    "unique_all",
    "unique_counts",
    "unique_inverse",
    "unique_values",
]


def take(x: TensorLike, indices: TensorLike, axis: int = 0) -> Tensor:
    """The elements of `axis` at integer `indices`. Errors: IndexRangeError, DTypeError."""
    x = as_tensor(x)
    at = axis_of(axis, x.ndim, "take")
    result: Tensor = build("take", x, as_tensor(indices), axis=at)
    return result


def take_along_axis(x: TensorLike, indices: TensorLike, axis: int = -1) -> Tensor:
    """For each place the element at its own index along `axis`."""
    x = as_tensor(x)
    at = axis_of(axis, x.ndim, "take_along_axis")
    result: Tensor = build("take_along_axis", x, as_tensor(indices), axis=at)
    return result


def scatter_add(updates: TensorLike, indices: TensorLike, size: int, axis: int = 0) -> Tensor:
    """`updates` added into zeros of length `size` at integer `indices`; equal indices add up."""
    x = as_tensor(updates)
    at = axis_of(axis, x.ndim, "scatter_add")
    result: Tensor = build("scatter_add", x, as_tensor(indices), axis=at, size=int(size))
    return result


def argsort(
    x: TensorLike, axis: int = -1, descending: bool = False, *, stable: bool = True
) -> Tensor:
    """The places (int64) that put `axis` in order; equal elements keep theirs, NaN is largest."""
    del stable  # it always is
    x = as_tensor(x)
    at = axis_of(axis, x.ndim, "argsort")
    result: Tensor = build("argsort", x, axis=at, descending=bool(descending))
    return result


def sort(x: TensorLike, axis: int = -1, descending: bool = False, *, stable: bool = True) -> Tensor:
    """The elements along `axis` in rising order, or falling; NaN counts as the largest."""
    del stable  # it always is
    x = as_tensor(x)
    return take_along_axis(x, argsort(x, axis_of(axis, x.ndim, "sort"), descending), axis)


def topk(x: TensorLike, k: int, axis: int = -1) -> tuple[Tensor, Tensor]:
    """The `k` largest elements along `axis`, largest first, and their places (int64).

    Of equal elements the first comes first. Errors: ShapeError where the axis is shorter than k.
    """
    x = as_tensor(x)
    at = axis_of(axis, x.ndim, "topk")
    if not 0 <= k <= x.shape[at]:
        what = f"cannot take {k} of axis {axis} of {x.shape}"
        remedy = f"use k from 0 to {x.shape[at]}"
        raise ShapeError(explain("topk", what, made=[("it", x.node.where)], remedy=remedy))
    first = (*[slice(None)] * at, slice(k))
    places = argsort(x, at, descending=True)[first]
    return take_along_axis(x, places, at), places


def one_hot(indices: TensorLike, classes: int, dtype: Any = np.float32) -> Tensor:
    """1 at the index and 0 elsewhere, along a new last axis. Errors: DTypeError."""
    x = as_tensor(indices)
    if not is_integer(x.dtype):
        what, remedy = f"indices are {x.dtype}, not integers", "use astype(tx.int64)"
        made = [("indices", x.node.where)]
        raise DTypeError(explain("one_hot", what, made=made, remedy=remedy))
    b = Builder(current_scope(), user_place())
    shape = (*x.shape, classes)
    column = b.broadcast_to(b.reshape(x.node, shape=(*x.shape, 1)), shape)
    hot = b.equal(column, b.iota(shape=shape, axis=x.ndim, dtype=x.dtype))
    result: Tensor = wrap(b.astype(hot, dtype=np.dtype(dtype)), False)
    return result


def searchsorted(
    rising: TensorLike, x: TensorLike, *, side: str = "left", sorter: TensorLike = None
) -> Tensor:
    """Where (int64) each number of `x` would go into the vector `rising` to keep it in order.

    side: "left" of equal elements or "right". sorter: places that put `rising` in order first.
    Errors: ShapeError, DTypeError.
    """
    if side not in ("left", "right"):
        raise ShapeError(explain("searchsorted", f'side is {side!r}, neither "left" nor "right"'))
    rising = as_tensor(rising)
    rising = rising if sorter is None else take(rising, sorter)
    result: Tensor = build("searchsorted", *promoted(rising, x), right=side == "right")
    return result


def isin(x: TensorLike, values: TensorLike, *, invert: bool = False) -> Tensor:
    """Whether each element of `x` is one of `values`, or is not where `invert`. NaN never is."""
    x, values = as_tensor(x), as_tensor(values)
    if not values.size:
        found = as_tensor(np.zeros(x.shape, np.bool_))
    else:
        rising = sort(reshape(values, -1))
        found = equal(take(rising, clip(searchsorted(rising, x), 0, values.size - 1)), x)
    return logical_not(found) if invert else found


def nonzero(x: TensorLike) -> tuple[Tensor, ...]:
    """The places of the elements that are not 0, a vector for each axis.

    Needs known values, as they decide the shape. Errors: ShapeError for 0-d, CaptureError.
    """
    x = as_tensor(x)
    if not x.shape:
        raise ShapeError(
            explain("nonzero", "a 0-d tensor has no axis", remedy="reshape it to (1,)")
        )
    return tuple(as_tensor(places) for places in np.nonzero(x.numpy()))


class UniqueAll(NamedTuple):
    """The distinct values, where each stands first, how to rebuild all of them, and counts."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCounts(NamedTuple):
    """The distinct values, and how many of each."""

    values: Tensor
    counts: Tensor


class UniqueInverse(NamedTuple):
    """The distinct values, and for each element of the tensor the place of its value."""

    values: Tensor
    inverse_indices: Tensor


def unique_all(x: TensorLike) -> UniqueAll:
    """The distinct values of `x` in rising order, and where they are; each NaN is one of its own.

    As for all `unique_` functions values must be known. Errors: CaptureError.
    """
    found = np.unique_all(as_tensor(x).numpy())
    return UniqueAll(*map(as_tensor, found))


def unique_counts(x: TensorLike) -> UniqueCounts:
    """The distinct values of `x`, and how many of each there are."""
    found = unique_all(x)
    return UniqueCounts(found.values, found.counts)


def unique_inverse(x: TensorLike) -> UniqueInverse:
    """The distinct values of `x`, and the places that rebuild `x` of them."""
    found = unique_all(x)
    return UniqueInverse(found.values, found.inverse_indices)


def unique_values(x: TensorLike) -> Tensor:
    """The distinct values of `x` in rising order."""
    return unique_all(x).values
