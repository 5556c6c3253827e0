"""Functions of shape: views where strides allow."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import int64
from tinygrad_tx.errors import ArgumentError, ShapeError, explain
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.place import current_scope, user_place
from tinygrad_tx.shapes import (
    Shape,
    axes_of,
    axis_of,
    broadcast_shapes as common_shape,
    size_of,
)
from tinygrad_tx.tensor.tensor import Tensor, TensorLike, as_tensor, build, promoted, wrap

__all__ = [
    "broadcast_arrays",
    "broadcast_shapes",
    "broadcast_to",
    "concat",
    "expand_dims",
    "flip",
    "matrix_transpose",
    "meshgrid",
    "moveaxis",
    "pad",
    "permute_dims",
    "repeat",
    "reshape",
    "roll",
    "split",
    "squeeze",
    "stack",
    "swapaxes",
    "tile",
    "tril",
    "triu",
    "unstack",
]


def reshape(x: TensorLike, shape: int | Sequence[int], *, copy: bool | None = None) -> Tensor:
    """The same elements under another shape; one size may be -1. Errors: ShapeError.

    `copy` has no meaning for tensors, which never change.
    """
    del copy
    x = as_tensor(x)
    target = _sizes(shape)
    if -1 in target:
        rest = size_of(tuple(n for n in target if n != -1))
        if target.count(-1) > 1 or rest == 0 or x.size % rest:
            made, remedy = [("it", x.node.where)], "one size may be -1, if the others divide"
            what = f"{x.shape} does not fit {target}"
            raise ShapeError(explain("reshape", what, made=made, remedy=remedy))
        target = tuple(x.size // rest if n == -1 else n for n in target)
    result: Tensor = build("reshape", x, shape=target)
    return result


def _sizes(shape: int | Sequence[int]) -> Shape:
    """Errors: ArgumentError for sizes that are no whole numbers."""
    try:
        return tuple(index(n) for n in (shape if isinstance(shape, Sequence) else (shape,)))
    except TypeError:
        remedy = "use // to divide sizes"
        what = f"sizes are whole numbers, not {shape}"
        raise ArgumentError(explain("reshape", what, remedy=remedy)) from None


def permute_dims(x: TensorLike, axes: Sequence[int]) -> Tensor:
    """The axes in another order."""
    x = as_tensor(x)
    order = tuple(axis_of(a, x.ndim, "permute_dims") for a in axes)
    result: Tensor = build("permute_dims", x, axes=order)
    return result


def swapaxes(x: TensorLike, first: int, second: int) -> Tensor:
    """Two axes exchanged."""
    x = as_tensor(x)
    order = list(range(x.ndim))
    i, j = axis_of(first, x.ndim, "swapaxes"), axis_of(second, x.ndim, "swapaxes")
    order[i], order[j] = order[j], order[i]
    return permute_dims(x, order)


def moveaxis(
    x: TensorLike, source: int | tuple[int, ...], destination: int | tuple[int, ...]
) -> Tensor:
    """One axis or several moved to other places; the others keep their order."""
    x = as_tensor(x)
    start, end = (
        [axis_of(a, x.ndim, "moveaxis") for a in (given if isinstance(given, tuple) else (given,))]
        for given in (source, destination)
    )
    if not len(start) == len(set(start)) == len(end) == len(set(end)):
        what = f"needs one place for each axis, got {source} to {destination}"
        raise ShapeError(explain("moveaxis", what))
    order = [a for a in range(x.ndim) if a not in start]
    for place, axis in sorted(zip(end, start, strict=True)):
        order.insert(place, axis)
    return permute_dims(x, order)


def expand_dims(x: TensorLike, axis: int | tuple[int, ...] = 0) -> Tensor:
    """New axes of size 1, at these places of the result."""
    x = as_tensor(x)
    axes = axis if isinstance(axis, tuple) else (axis,)
    new = axes_of(axes, x.ndim + len(axes), "expand_dims")
    sizes = iter(x.shape)
    return reshape(x, [1 if i in new else next(sizes) for i in range(x.ndim + len(new))])


def squeeze(x: TensorLike, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """Axes of size 1 removed. Errors: ShapeError for another size."""
    x = as_tensor(x)
    ones = tuple(i for i, n in enumerate(x.shape) if n == 1)
    axes = ones if axis is None else axes_of(axis, x.ndim, "squeeze")
    if any(x.shape[a] != 1 for a in axes):
        what = f"axes {axes} of {x.shape} are not all of size 1"
        made, remedy = [("it", x.node.where)], "squeeze() alone takes away all that are"
        raise ShapeError(explain("squeeze", what, made=made, remedy=remedy))
    return reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in axes))


def broadcast_to(x: TensorLike, shape: Sequence[int]) -> Tensor:
    """`x` repeated to `shape` without a copy. Errors: ShapeError."""
    result: Tensor = build("broadcast_to", as_tensor(x), shape=tuple(shape))
    return result


def concat(tensors: Sequence[TensorLike], axis: int | None = 0) -> Tensor:
    """Tensors one after another along `axis`; as vectors for None. Errors: ShapeError."""
    if not len(tensors):
        raise ShapeError(explain("concat", "needs at least one tensor"))
    if axis is None:
        tensors, axis = [reshape(t, -1) for t in map(as_tensor, tensors)], 0
    nodes = promoted(*(as_tensor(t) for t in tensors))
    wants = any(isinstance(t, Tensor) and t.requires_grad for t in tensors)
    b = Builder(current_scope(), user_place())
    at = axis_of(axis, len(nodes[0].shape), "concat")
    result: Tensor = wrap(b.concat(*nodes, axis=at), wants)
    return result


def stack(tensors: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """Tensors side by side along a new axis. Errors: ShapeError."""
    return concat([expand_dims(t, axis) for t in tensors], axis)


def split(x: TensorLike, sizes: int | Sequence[int], axis: int = 0) -> tuple[Tensor, ...]:
    """Pieces along `axis`: that many equal ones, or of the given sizes. Errors: ShapeError."""
    x = as_tensor(x)
    at = axis_of(axis, x.ndim, "split")
    if isinstance(sizes, int):
        if sizes < 1 or x.shape[at] % sizes:
            what = f"axis {axis} of size {x.shape[at]} does not split into {sizes} equal pieces"
            made, remedy = [("it", x.node.where)], "give the sizes of the pieces, as (2, 1)"
            raise ShapeError(explain("split", what, made=made, remedy=remedy))
        sizes = [x.shape[at] // sizes] * sizes
    result = build("split", x, sizes=tuple(sizes), axis=at)
    return result if isinstance(result, tuple) else (result,)


def pad(x: TensorLike, widths: Sequence[tuple[int, int]], value: float = 0.0) -> Tensor:
    """`x` with `value` around it; (before, after) for each axis."""
    pairs = tuple((int(a), int(b)) for a, b in widths)
    result: Tensor = build("pad", as_tensor(x), widths=pairs, value=float(value))
    return result


def flip(x: TensorLike, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """The order along axes turned around; a view."""
    x = as_tensor(x)
    axes = axes_of(axis, x.ndim, "flip")
    shape: Shape = x.shape
    result: Tensor = build(
        "slice",
        x,
        start=tuple(n - 1 if i in axes else 0 for i, n in enumerate(shape)),
        stop=tuple(-1 if i in axes else n for i, n in enumerate(shape)),
        step=tuple(-1 if i in axes else 1 for i in range(len(shape))),
    )
    return result


def roll(
    x: TensorLike,
    shift: int | tuple[int, ...],
    axis: int | tuple[int, ...] | None = None,
) -> Tensor:
    """Elements moved along `axis` by `shift`, round the end; without an axis, in C order.

    Of several axes each by its own shift, or all by one.
    """
    x = as_tensor(x)
    if isinstance(shift, tuple) or isinstance(axis, tuple):
        axes = axis if isinstance(axis, tuple) else (axis,)
        shifts = shift if isinstance(shift, tuple) else (shift,) * len(axes)
        if len(shifts) != len(axes):
            raise ShapeError(explain("roll", f"{len(shifts)} shifts for {len(axes)} axes"))
        moved: Tensor = x
        for distance, along in zip(shifts, axes, strict=True):
            moved = roll(moved, distance, along)
        return moved
    if axis is None:
        return reshape(roll(reshape(x, (x.size,)), shift, 0), x.shape)
    at = axis_of(axis, x.ndim, "roll")
    size = x.shape[at]
    by = shift % size if size else 0
    if not by:
        return as_tensor(x)
    before = (slice(None),) * at
    return concat([x[(*before, slice(size - by, None))], x[(*before, slice(size - by))]], at)


def _triangle(x: TensorLike, k: int, keep_lower: bool) -> Tensor:
    x = as_tensor(x)
    b = Builder(current_scope(), user_place())
    row = b.iota(shape=x.shape, axis=x.ndim - 2, dtype=int64)
    column = b.iota(shape=x.shape, axis=x.ndim - 1, dtype=int64)
    limit = b.add(row, k)
    inside = b.less_equal(column, limit) if keep_lower else b.greater_equal(column, limit)
    result: Tensor = wrap(b.where(inside, x.node, b.full(x.shape, 0, x.dtype)), x.requires_grad)
    return result


def tril(x: TensorLike, k: int = 0) -> Tensor:
    """The last two axes with zeros above diagonal `k`."""
    return _triangle(x, k, keep_lower=True)


def triu(x: TensorLike, k: int = 0) -> Tensor:
    """The last two axes with zeros below diagonal `k`."""
    return _triangle(x, k, keep_lower=False)


def matrix_transpose(x: TensorLike) -> Tensor:
    """The last two axes exchanged."""
    return swapaxes(x, -1, -2)


def broadcast_shapes(*shapes: Sequence[int]) -> Shape:
    """The shape that tensors of these shapes have together. Errors: ShapeError."""
    found = common_shape(*map(tuple, shapes))
    if found is None:
        given = " and ".join(str(tuple(s)) for s in shapes)
        remedy = "sizes must be equal or 1, counted from the last axis"
        raise ShapeError(explain("broadcast_shapes", f"{given} do not broadcast", remedy=remedy))
    return found


def broadcast_arrays(*tensors: TensorLike) -> tuple[Tensor, ...]:
    """All tensors in the shape that they have together. Errors: ShapeError."""
    found = [as_tensor(t) for t in tensors]
    shape = broadcast_shapes(*(t.shape for t in found))
    return tuple(broadcast_to(t, shape) for t in found)


def meshgrid(*tensors: TensorLike, indexing: str = "xy") -> tuple[Tensor, ...]:
    """For vectors the coordinates of the grid that they span, each in the shape of the grid.

    indexing: "ij" has one axis a vector; "xy" exchanges the first two. Errors: ShapeError.
    """
    if indexing not in ("xy", "ij"):
        what = f'indexing is {indexing!r}, neither "xy" nor "ij"'
        raise ShapeError(explain("meshgrid", what))
    found = [as_tensor(t) for t in tensors]
    places = list(range(len(found)))
    if indexing == "xy":
        places[:2] = places[:2][::-1]
    laid = [
        reshape(t, [t.size if i == place else 1 for i in range(len(found))])
        for t, place in zip(found, places, strict=True)
    ]
    return broadcast_arrays(*laid)


def unstack(x: TensorLike, axis: int = 0) -> tuple[Tensor, ...]:
    """The pieces of size 1 along `axis`, without that axis."""
    x = as_tensor(x)
    at = axis_of(axis, x.ndim, "unstack")
    if not x.shape[at]:
        return ()
    return tuple(squeeze(piece, at) for piece in split(x, x.shape[at], at))


def tile(x: TensorLike, repetitions: Sequence[int]) -> Tensor:
    """`x` so many times over along each axis; missing axes or numbers count as 1, from the front.

    Errors: ShapeError for a number below 0.
    """
    x = as_tensor(x)
    ndim = max(x.ndim, len(repetitions))
    times = (1,) * (ndim - len(repetitions)) + tuple(int(n) for n in repetitions)
    shape = (1,) * (ndim - x.ndim) + x.shape
    if any(n < 0 for n in times):
        raise ShapeError(explain("tile", f"cannot repeat {tuple(repetitions)} times"))
    # (n, size) for each axis: the copies stand before what is copied.
    pairs = tuple(size for pair in zip(times, shape, strict=True) for size in pair)
    once = reshape(x, tuple(size for n in shape for size in (1, n)))
    total = tuple(n * size for n, size in zip(times, shape, strict=True))
    return reshape(broadcast_to(once, pairs), total)


def repeat(x: TensorLike, repeats: Any, axis: int | None = None) -> Tensor:
    """Each element along `axis` so many times: one number for all, or one for each.

    Without an axis of the elements in C order. Numbers for each must have known values, as they
    decide the shape. Errors: ShapeError.
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = reshape(x, -1), 0
    at = axis_of(axis, x.ndim, "repeat")
    counts = np.asarray(repeats.numpy() if isinstance(repeats, Tensor) else repeats)
    if counts.dtype.kind not in "iu" or (counts < 0).any() or counts.ndim > 1:
        what = f"needs whole numbers from 0 on, got {counts.tolist()}"
        raise ShapeError(explain("repeat", what))
    if counts.size not in (1, x.shape[at]):
        what = f"{counts.size} numbers for axis {axis} of {x.shape}"
        raise ShapeError(explain("repeat", what, made=[("it", x.node.where)]))
    places = np.repeat(np.arange(x.shape[at]), counts)
    result: Tensor = build("take", x, as_tensor(places), axis=at)
    return result
