"""Selecting elements by index."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_tx.dtypes import bool_, int64, is_integer
from tinygrad_tx.errors import DTypeError, IndexRangeError, ShapeError, explain
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.place import current_scope, user_place
from tinygrad_tx.shapes import axis_of
from tinygrad_tx.tensor.shape import reshape
from tinygrad_tx.tensor.tensor import Tensor, TensorLike, as_tensor, build, wrap

__all__ = [
    "argsort",
    "getitem",
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


def getitem(x: Tensor, key: Any) -> Tensor:
    """Basic indexing as a view; one integer array, list or tensor, or a boolean mask, as `take`."""
    keys = list(key) if isinstance(key, tuple) else [key]
    given = sum(k is not None and k is not Ellipsis for k in keys)
    if any(k is Ellipsis for k in keys):
        at = next(i for i, k in enumerate(keys) if k is Ellipsis)
        keys[at : at + 1] = [slice(None)] * (x.ndim - given)
    else:
        keys += [slice(None)] * (x.ndim - given)
    if given > x.ndim:
        what = f"{given} indices for {x.ndim} axes of {x.shape}"
        raise IndexRangeError(explain("index", what, made=[("it", x.node.where)]))
    start, stop, step, shape = [], [], [], []
    arrays: list[tuple[int, Any]] = []
    axis = 0
    for k in keys:
        if k is None:
            shape.append(1)
            continue
        size = x.shape[axis]
        if isinstance(k, slice):
            cut = k.indices(size)
            shape.append(len(range(*cut)))
        elif isinstance(k, (int, np.integer)) and not isinstance(k, bool):
            cut = _one(x, int(k), axis)
        else:
            cut = (0, size, 1)
            arrays.append((len(shape), k))
            shape.append(size)
        for items, value in zip((start, stop, step), cut, strict=True):
            items.append(value)
        axis += 1
    cuts = {"start": tuple(start), "stop": tuple(stop), "step": tuple(step)}
    result = reshape(build("slice", x, **cuts), shape)
    if len(arrays) > 1:
        remedy = "index one axis at a time, or use take_along_axis"
        raise DTypeError(explain("index", "takes one integer array at a time", remedy=remedy))
    for at, k in arrays:
        result = take(result, _indices(k, result.shape[at]), at)
    return result


def _one(x: Tensor, index: int, axis: int) -> tuple[int, int, int]:
    size = x.shape[axis]
    if not -size <= index < size:
        what = f"index {index} is out of range for axis {axis} of {x.shape}"
        raise IndexRangeError(explain("index", what, made=[("it", x.node.where)]))
    return index % size, index % size + 1, 1


def _indices(key: Any, size: int) -> Tensor:
    """Integers from an index array, or from a mask whose values are known."""
    chosen = as_tensor(key)
    if chosen.dtype == bool_:
        if chosen.shape != (size,):
            what = f"a mask of shape {chosen.shape} for an axis of size {size}"
            raise IndexRangeError(explain("index", what))
        return as_tensor(np.flatnonzero(chosen.numpy()))
    if not is_integer(chosen.dtype):
        raise DTypeError(explain("index", f"takes integers or a mask, got {chosen.dtype}"))
    return chosen if chosen.dtype.itemsize >= 4 else as_tensor(chosen.numpy().astype(int64))
