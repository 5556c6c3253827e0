"""Selecting elements by index."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_tx.errors import ShapeError, explain
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.place import current_scope, user_place
from tinygrad_tx.shapes import axis_of
from tinygrad_tx.tensor.tensor import Tensor, TensorLike, as_tensor, build, wrap

__all__ = [
    "argsort",
    "one_hot",
    "scatter_add",
    "sort",
    "take",
    "take_along_axis",
    "topk",
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


def argsort(x: TensorLike, axis: int = -1, descending: bool = False) -> Tensor:
    """The places (int64) that put `axis` in order; equal elements keep theirs, NaN is largest."""
    x = as_tensor(x)
    at = axis_of(axis, x.ndim, "argsort")
    result: Tensor = build("argsort", x, axis=at, descending=bool(descending))
    return result


def sort(x: TensorLike, axis: int = -1, descending: bool = False) -> Tensor:
    """The elements along `axis` in rising order, or falling; NaN counts as the largest."""
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
    """1 at the index and 0 elsewhere, along a new last axis."""
    x = as_tensor(indices)
    b = Builder(current_scope(), user_place())
    shape = (*x.shape, classes)
    column = b.broadcast_to(b.reshape(x.node, shape=(*x.shape, 1)), shape)
    hot = b.equal(column, b.iota(shape=shape, axis=x.ndim, dtype=x.dtype))
    result: Tensor = wrap(b.astype(hot, dtype=np.dtype(dtype)), False)
    return result
