"""Functions of shape: views where strides allow."""

from __future__ import annotations

from collections.abc import Sequence

from tinygrad_tx.dtypes import int64
from tinygrad_tx.errors import ShapeError, explain
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.place import current_scope, user_place
from tinygrad_tx.shapes import Shape, axes_of, axis_of, size_of
from tinygrad_tx.tensor.tensor import Tensor, TensorLike, as_tensor, build, promoted, wrap

__all__ = [
    "broadcast_to",
    "concat",
    "expand_dims",
    "flip",
    "moveaxis",
    "pad",
    "permute_dims",
    "reshape",
    "roll",
    "split",
    "squeeze",
    "stack",
    "swapaxes",
    "tril",
    "triu",
]


def reshape(x: TensorLike, shape: int | Sequence[int]) -> Tensor:
    """The same elements under another shape; one size may be -1. Errors: ShapeError."""
    x = as_tensor(x)
    target = (shape,) if isinstance(shape, int) else tuple(int(n) for n in shape)
    if -1 in target:
        rest = size_of(tuple(n for n in target if n != -1))
        if target.count(-1) > 1 or rest == 0 or x.size % rest:
            raise ShapeError(
                explain("reshape", f"{x.shape} does not fit {target}", made=[("it", x.node.where)])
            )
        target = tuple(x.size // rest if n == -1 else n for n in target)
    result: Tensor = build("reshape", x, shape=target)
    return result


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


def moveaxis(x: TensorLike, source: int, destination: int) -> Tensor:
    """One axis moved to another place."""
    x = as_tensor(x)
    order = list(range(x.ndim))
    order.insert(
        axis_of(destination, x.ndim, "moveaxis"), order.pop(axis_of(source, x.ndim, "moveaxis"))
    )
    return permute_dims(x, order)


def expand_dims(x: TensorLike, axis: int = 0) -> Tensor:
    """A new axis of size 1."""
    x = as_tensor(x)
    at = axis_of(axis, x.ndim + 1, "expand_dims")
    return reshape(x, (*x.shape[:at], 1, *x.shape[at:]))


def squeeze(x: TensorLike, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """Axes of size 1 removed. Errors: ShapeError for another size."""
    x = as_tensor(x)
    ones = tuple(i for i, n in enumerate(x.shape) if n == 1)
    axes = ones if axis is None else axes_of(axis, x.ndim, "squeeze")
    if any(x.shape[a] != 1 for a in axes):
        raise ShapeError(explain("squeeze", f"axes {axes} of {x.shape} are not all of size 1"))
    return reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in axes))


def broadcast_to(x: TensorLike, shape: Sequence[int]) -> Tensor:
    """`x` repeated to `shape` without a copy. Errors: ShapeError."""
    result: Tensor = build("broadcast_to", as_tensor(x), shape=tuple(shape))
    return result


def concat(tensors: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """Tensors one after another along `axis`. Errors: ShapeError."""
    if not len(tensors):
        raise ShapeError(explain("concat", "needs at least one tensor"))
    nodes = promoted(*(as_tensor(t) for t in tensors))
    wants = any(isinstance(t, Tensor) and t.requires_grad for t in tensors)
    b = Builder(current_scope(), user_place())
    at = axis_of(axis, len(nodes[0].shape), "concat")
    result: Tensor = wrap(b.concat(*nodes, axis=at), wants)
    return result


def stack(tensors: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """Tensors side by side along a new axis."""
    return concat([expand_dims(t, axis) for t in tensors], axis)


def split(x: TensorLike, sizes: int | Sequence[int], axis: int = 0) -> tuple[Tensor, ...]:
    """Pieces along `axis`: that many equal ones, or of the given sizes. Errors: ShapeError."""
    x = as_tensor(x)
    at = axis_of(axis, x.ndim, "split")
    if isinstance(sizes, int):
        if sizes < 1 or x.shape[at] % sizes:
            what = f"axis {axis} of size {x.shape[at]} does not split into {sizes} equal pieces"
            raise ShapeError(explain("split", what, made=[("it", x.node.where)]))
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


def roll(x: TensorLike, shift: int, axis: int | None = None) -> Tensor:
    """Elements moved along `axis` by `shift`, round the end; without an axis, in C order."""
    x = as_tensor(x)
    if axis is None:
        return reshape(roll(reshape(x, (x.size,)), shift, 0), x.shape)
    at = axis_of(axis, x.ndim, "roll")
    size = x.shape[at]
    moved = shift % size if size else 0
    if not moved:
        return as_tensor(x)
    before = (slice(None),) * at
    return concat([x[(*before, slice(size - moved, None))], x[(*before, slice(size - moved))]], at)


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
