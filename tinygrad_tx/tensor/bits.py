"""Bits of integers, under the names of the array API; of truth values the logical operation."""

from __future__ import annotations

from tinygrad_tx.dtypes import bool_
from tinygrad_tx.tensor.elementwise import (
    elementwise,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
)
from tinygrad_tx.tensor.tensor import Tensor, TensorLike, as_tensor, build, promoted

__all__ = [
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
]


def _are_bool(x: TensorLike, y: TensorLike) -> bool:
    return promoted(x, y)[0].dtype == bool_


def bitwise_and(x: TensorLike, y: TensorLike) -> Tensor:
    """x & y. Errors: DTypeError for anything but integers and bool."""
    return logical_and(x, y) if _are_bool(x, y) else elementwise("bitwise_and", x, y)


def bitwise_or(x: TensorLike, y: TensorLike) -> Tensor:
    """x | y. Errors: DTypeError for anything but integers and bool."""
    return logical_or(x, y) if _are_bool(x, y) else elementwise("bitwise_or", x, y)


def bitwise_xor(x: TensorLike, y: TensorLike) -> Tensor:
    """x ^ y. Errors: DTypeError for anything but integers and bool."""
    return logical_xor(x, y) if _are_bool(x, y) else elementwise("bitwise_xor", x, y)


def bitwise_invert(x: TensorLike) -> Tensor:
    """~x. Errors: DTypeError for anything but integers and bool."""
    x = as_tensor(x)
    result: Tensor = logical_not(x) if x.dtype == bool_ else build("bitwise_invert", x)
    return result


def bitwise_left_shift(x: TensorLike, y: TensorLike) -> Tensor:
    """x << y of integers, y from 0 to their bits - 1."""
    return elementwise("bitwise_left_shift", x, y)


def bitwise_right_shift(x: TensorLike, y: TensorLike) -> Tensor:
    """x >> y of integers, y from 0 to their bits - 1; the sign stays."""
    return elementwise("bitwise_right_shift", x, y)
