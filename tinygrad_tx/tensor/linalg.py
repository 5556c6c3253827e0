"""Products of matrices."""

from __future__ import annotations

from collections.abc import Sequence

from tinygrad_tx.errors import ShapeError, explain
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.place import current_scope, user_place
from tinygrad_tx.shapes import axis_of, broadcast_shapes, size_of
from tinygrad_tx.tensor.shape import broadcast_arrays, moveaxis, permute_dims, reshape
from tinygrad_tx.tensor.tensor import Tensor, TensorLike, as_tensor, promoted, wrap

__all__ = ["matmul", "tensordot", "vecdot"]


def matmul(x: TensorLike, y: TensorLike) -> Tensor:
    """Matrix product over the last two axes; leading axes broadcast, 1-d operands are vectors.

    Shapes: (..., m, k) @ (..., k, n) -> (..., m, n). Errors: ShapeError.
    """
    left, right = promoted(x, y)
    wants = any(isinstance(o, Tensor) and o.requires_grad for o in (x, y))
    b = Builder(current_scope(), user_place())
    if not left.shape or not right.shape:
        raise ShapeError(
            explain(
                "matmul",
                f"needs at least one axis: {left.shape} @ {right.shape}",
                remedy="use multiply for numbers",
            )
        )
    left_vector, right_vector = len(left.shape) == 1, len(right.shape) == 1
    left = b.reshape(left, shape=(1, *left.shape)) if left_vector else left
    right = b.reshape(right, shape=(*right.shape, 1)) if right_vector else right
    result = _product(b, left, right)
    shape = result.shape
    if right_vector:
        shape = shape[:-1]
    if left_vector:
        shape = (*shape[:-2], shape[-1]) if not right_vector else shape[:-1]
    if shape != result.shape:
        result = b.reshape(result, shape=shape)
    tensor: Tensor = wrap(result, wants)
    return tensor


def _product(b: Builder, left: Node, right: Node) -> Node:
    if len(right.shape) == 2 and len(left.shape) > 2 and left.shape[-1] == right.shape[0]:
        # One large product instead of many small ones: a batch of rows through one weight.
        rows = b.reshape(left, shape=(size_of(left.shape[:-1]), left.shape[-1]))
        flat = b.matmul(rows, right)
        result: Node = b.reshape(flat, shape=(*left.shape[:-1], right.shape[-1]))
        return result
    leading = broadcast_shapes(left.shape[:-2], right.shape[:-2])
    if leading is not None and left.shape[-1] == right.shape[-2]:
        left = b.broadcast_to(left, (*leading, *left.shape[-2:]))
        right = b.broadcast_to(right, (*leading, *right.shape[-2:]))
    product: Node = b.matmul(left, right)
    return product


def tensordot(
    x: TensorLike, y: TensorLike, axes: int | tuple[Sequence[int], Sequence[int]] = 2
) -> Tensor:
    """The sum of products over pairs of axes: the last `axes` of x and first of y, or as listed.

    Shapes: what is left of x, then what is left of y. Errors: ShapeError.
    """
    x, y = as_tensor(x), as_tensor(y)
    if isinstance(axes, int):
        axes = (range(x.ndim - axes, x.ndim), range(axes))
    first = [axis_of(a, x.ndim, "tensordot") for a in axes[0]]
    second = [axis_of(a, y.ndim, "tensordot") for a in axes[1]]
    summed = tuple(x.shape[a] for a in first)
    if summed != tuple(y.shape[a] for a in second):
        what = f"axes {first} of {x.shape} and {second} of {y.shape} differ in size"
        made = [("left", x.node.where), ("right", y.node.where)]
        raise ShapeError(explain("tensordot", what, made=made))
    rows = [a for a in range(x.ndim) if a not in first]
    columns = [a for a in range(y.ndim) if a not in second]
    left, right = permute_dims(x, rows + first), permute_dims(y, second + columns)
    shape = tuple(x.shape[a] for a in rows), tuple(y.shape[a] for a in columns)
    k = size_of(summed)
    product = matmul(reshape(left, (size_of(shape[0]), k)), reshape(right, (k, size_of(shape[1]))))
    return reshape(product, shape[0] + shape[1])


def vecdot(x: TensorLike, y: TensorLike, axis: int = -1) -> Tensor:
    """The product of vectors along `axis`; the other axes broadcast. Errors: ShapeError.

    Shapes: (..., n) and (..., n) -> (...).
    """
    x, y = as_tensor(x), as_tensor(y)
    at = [axis_of(axis, t.ndim, "vecdot") for t in (x, y)]
    if x.shape[at[0]] != y.shape[at[1]]:
        what = f"axis {axis} is {x.shape[at[0]]} in {x.shape} and {y.shape[at[1]]} in {y.shape}"
        made = [("left", x.node.where), ("right", y.node.where)]
        raise ShapeError(explain("vecdot", what, made=made))
    x, y = broadcast_arrays(moveaxis(x, axis, -1), moveaxis(y, axis, -1))
    rows, columns = reshape(x, (*x.shape[:-1], 1, x.shape[-1])), reshape(y, (*y.shape, 1))
    return reshape(matmul(rows, columns), x.shape[:-1])
