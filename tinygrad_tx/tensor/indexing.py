"""x[...]: basic indexing as views; integer arrays and masks of known values as `take`."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_tx import capture
from tinygrad_tx.dtypes import bool_, int64, is_integer
from tinygrad_tx.errors import DTypeError, IndexRangeError, ShapeError, explain
from tinygrad_tx.runtime.buffer import Buffer
from tinygrad_tx.shapes import broadcast_shapes, size_of
from tinygrad_tx.tensor.elementwise import astype, logical_or, where
from tinygrad_tx.tensor.selection import take
from tinygrad_tx.tensor.shape import broadcast_to, expand_dims, permute_dims, reshape
from tinygrad_tx.tensor.tensor import Tensor, as_tensor, build

__all__ = ["getitem"]


def getitem(x: Tensor, key: Any) -> Tensor:
    """Slices, integers, None, Ellipsis give a view; integer arrays and masks a copy, as in NumPy.

    A mask must have known values. Errors: IndexRangeError, DTypeError.
    """
    if isinstance(key, (Tensor, np.ndarray)) and not key.shape and key.dtype == bool_:
        # One truth for all: a new axis, with everything in it or nothing.
        count = 1 if key else 0
        return take(expand_dims(x, 0), as_tensor(np.zeros(count, np.int64)), 0)
    keys = _whole_key(x, list(key) if isinstance(key, tuple) else [key])
    cuts: list[tuple[int, int, int]] = []
    shape: list[int] = []
    arrays: dict[int, Any] = {}
    for k in keys:
        if k is None:
            shape.append(1)
            continue
        axis = len(cuts)
        size = x.shape[axis]
        if isinstance(k, slice):
            cuts.append(k.indices(size))
            shape.append(len(range(*cuts[-1])))
        elif isinstance(k, (int, np.integer)) and not isinstance(k, bool):
            if not -size <= k < size:
                what = f"index {k} is out of range for axis {axis} of {x.shape}"
                remedy = f"use one from {-size} to {size - 1}" if size else "the axis is empty"
                made = [("it", x.node.where)]
                raise IndexRangeError(explain("index", what, made=made, remedy=remedy))
            cuts.append((int(k) % size, int(k) % size + 1, 1))
        else:
            cuts.append((0, size, 1))
            arrays[len(shape)] = k
            shape.append(size)
    start, stop, step = zip(*cuts, strict=True) if cuts else ((), (), ())
    result = reshape(build("slice", x, start=start, stop=stop, step=step), shape)
    return _at(result, arrays) if arrays else result


def _whole_key(x: Tensor, keys: list[Any]) -> list[Any]:
    """One key for each axis: masks as index arrays, Ellipsis and what is missing as slices."""
    found: list[Any] = []
    for k in keys:
        if k is None or k is Ellipsis or isinstance(k, (slice, int, np.integer)):
            if isinstance(k, (bool, np.bool_)):
                raise DTypeError(explain("index", f"{k} is neither an integer nor a mask"))
            found.append(k)
        else:
            found += _index_arrays(k, x, sum(f is not None and f is not Ellipsis for f in found))
    given = sum(k is not None and k is not Ellipsis for k in found)
    if given > x.ndim or sum(k is Ellipsis for k in found) > 1:
        what = f"{given} indices for {x.ndim} axes of {x.shape}"
        raise IndexRangeError(explain("index", what, made=[("it", x.node.where)]))
    rest = [slice(None)] * (x.ndim - given)
    at = next((i for i, k in enumerate(found) if k is Ellipsis), None)
    if at is None:
        return found + rest
    return [*found[:at], *rest, *found[at + 1 :]]


def _index_arrays(key: Any, x: Tensor, axis: int) -> list[Tensor]:
    """The integer array itself; for a mask the places where it is true, one array an axis."""
    chosen = as_tensor(key)
    if chosen.dtype == bool_:
        sizes = x.shape[axis : axis + chosen.ndim]
        fits = len(sizes) == chosen.ndim and all(
            m in (n, 0) for m, n in zip(chosen.shape, sizes, strict=True)
        )  # a mask of size 0 selects nothing of anything, as in NumPy
        if not fits:
            what = f"a mask of shape {chosen.shape} for {x.shape} at axis {axis}"
            raise IndexRangeError(explain("index", what, made=[("it", x.node.where)]))
        capture.refuse("a mask as an index", "choose with tx.where(mask, x, 0)")
        return [as_tensor(places) for places in np.nonzero(chosen.numpy())]
    if chosen.size == 0 and isinstance(key, (list, tuple)):
        return [as_tensor(np.zeros(chosen.shape, np.int64))]
    if not is_integer(chosen.dtype):
        raise DTypeError(
            explain(
                "index",
                f"takes integers or a mask, got {chosen.dtype}",
                remedy="use // or astype(tx.int64)",
            )
        )
    return [chosen if chosen.dtype == int64 else astype(chosen, int64)]


def _at(x: Tensor, arrays: dict[int, Tensor]) -> Tensor:
    """The elements at index arrays, which broadcast together, by axis."""
    axes = sorted(arrays)
    if len(axes) == 1:
        return take(x, arrays[axes[0]], axes[0])
    if axes[-1] - axes[0] != len(axes) - 1:  # apart: their axes come first, as in NumPy
        x = permute_dims(x, axes + [a for a in range(x.ndim) if a not in axes])
        arrays = {i: arrays[a] for i, a in enumerate(axes)}
        axes = sorted(arrays)
    sizes = [x.shape[a] for a in axes]
    shape = broadcast_shapes(*(arrays[a].shape for a in axes))
    if shape is None:
        shapes = " and ".join(str(arrays[a].shape) for a in axes)
        raise ShapeError(explain("index", f"index arrays do not broadcast: {shapes}"))
    flat: Any = 0
    outside: Any = None
    for a, size in zip(axes, sizes, strict=True):
        index = arrays[a]
        _check_known(index, size, a, x)
        wrong = logical_or(index < -size, index >= size)
        outside = wrong if outside is None else logical_or(outside, wrong)
        flat = flat * size + where(index < 0, index + size, index)
    total = size_of(tuple(sizes))
    # One index outside must not look like another place inside.
    places = broadcast_to(where(outside, total, flat), shape)
    merged = reshape(x, (*x.shape[: axes[0]], total, *x.shape[axes[-1] + 1 :]))
    return take(merged, places, axes[0])


def _check_known(index: Tensor, size: int, axis: int, x: Tensor) -> None:
    """Names a wrong index at once where its value is already there."""
    if capture.current() is not None:
        return
    if index.node.op.name != "buffer" or not isinstance(index.node.attrs["buffer"], Buffer):
        return
    values = index.node.attrs["buffer"].array
    bad = values[(values < -size) | (values >= size)]
    if bad.size:
        what = f"index {int(bad[0])} is out of range for axis {axis} of {x.shape}"
        raise IndexRangeError(explain("index", what, made=[("it", x.node.where)]))
