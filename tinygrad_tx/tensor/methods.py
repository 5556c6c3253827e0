"""The operators and methods of a Tensor: each is the function of its name in tinygrad_tx.tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import tinygrad_tx.tensor as functions
from tinygrad_tx.missing import knowing_arguments

if TYPE_CHECKING:
    from tinygrad_tx.tensor.tensor import Tensor, TensorLike

__all__ = ["Axis", "Methods"]

Axis = int | tuple[int, ...] | None


class Methods:
    """What a Tensor can be asked to compute."""

    __slots__ = ()

    def __add__(self, other: TensorLike) -> Tensor:
        return functions.add(self, other)

    def __radd__(self, other: TensorLike) -> Tensor:
        return functions.add(other, self)

    def __sub__(self, other: TensorLike) -> Tensor:
        return functions.subtract(self, other)

    def __rsub__(self, other: TensorLike) -> Tensor:
        return functions.subtract(other, self)

    def __mul__(self, other: TensorLike) -> Tensor:
        return functions.multiply(self, other)

    def __rmul__(self, other: TensorLike) -> Tensor:
        return functions.multiply(other, self)

    def __truediv__(self, other: TensorLike) -> Tensor:
        return functions.divide(self, other)

    def __rtruediv__(self, other: TensorLike) -> Tensor:
        return functions.divide(other, self)

    def __floordiv__(self, other: TensorLike) -> Tensor:
        return functions.floor_divide(self, other)

    def __rfloordiv__(self, other: TensorLike) -> Tensor:
        return functions.floor_divide(other, self)

    def __mod__(self, other: TensorLike) -> Tensor:
        return functions.remainder(self, other)

    def __rmod__(self, other: TensorLike) -> Tensor:
        return functions.remainder(other, self)

    def __pow__(self, other: TensorLike) -> Tensor:
        return functions.power(self, other)

    def __rpow__(self, other: TensorLike) -> Tensor:
        return functions.power(other, self)

    def __matmul__(self, other: TensorLike) -> Tensor:
        return functions.matmul(self, other)

    def __rmatmul__(self, other: TensorLike) -> Tensor:
        return functions.matmul(other, self)

    def __lt__(self, other: TensorLike) -> Tensor:
        return functions.less(self, other)

    def __le__(self, other: TensorLike) -> Tensor:
        return functions.less_equal(self, other)

    def __gt__(self, other: TensorLike) -> Tensor:
        return functions.greater(self, other)

    def __ge__(self, other: TensorLike) -> Tensor:
        return functions.greater_equal(self, other)

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]  # elementwise, as in NumPy
        return functions.equal(self, other)

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]  # elementwise, as in NumPy
        return functions.not_equal(self, other)

    __hash__ = object.__hash__

    def __neg__(self) -> Tensor:
        return functions.negative(self)

    def __abs__(self) -> Tensor:
        return functions.abs(self)

    def __pos__(self: Any) -> Tensor:
        return functions.positive(self)

    def __invert__(self) -> Tensor:
        return functions.bitwise_invert(self)

    def __and__(self, other: TensorLike) -> Tensor:
        return functions.bitwise_and(self, other)

    def __rand__(self, other: TensorLike) -> Tensor:
        return functions.bitwise_and(other, self)

    def __or__(self, other: TensorLike) -> Tensor:
        return functions.bitwise_or(self, other)

    def __ror__(self, other: TensorLike) -> Tensor:
        return functions.bitwise_or(other, self)

    def __xor__(self, other: TensorLike) -> Tensor:
        return functions.bitwise_xor(self, other)

    def __rxor__(self, other: TensorLike) -> Tensor:
        return functions.bitwise_xor(other, self)

    def __lshift__(self, other: TensorLike) -> Tensor:
        return functions.bitwise_left_shift(self, other)

    def __rlshift__(self, other: TensorLike) -> Tensor:
        return functions.bitwise_left_shift(other, self)

    def __rshift__(self, other: TensorLike) -> Tensor:
        return functions.bitwise_right_shift(self, other)

    def __rrshift__(self, other: TensorLike) -> Tensor:
        return functions.bitwise_right_shift(other, self)

    def __getitem__(self: Any, key: Any) -> Tensor:
        return functions.getitem(self, key)

    def sum(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return functions.sum(self, axis, keepdims)

    def mean(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return functions.mean(self, axis, keepdims)

    def max(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return functions.max(self, axis, keepdims)

    def min(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return functions.min(self, axis, keepdims)

    def prod(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return functions.prod(self, axis, keepdims)

    def any(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return functions.any(self, axis, keepdims)

    def all(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return functions.all(self, axis, keepdims)

    def logsumexp(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return functions.logsumexp(self, axis, keepdims)

    def var(self, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Tensor:
        return functions.var(self, axis, correction, keepdims)

    def std(self, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Tensor:
        return functions.std(self, axis, correction, keepdims)

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Tensor:
        return functions.argmax(self, axis, keepdims)

    def argmin(self, axis: int | None = None, keepdims: bool = False) -> Tensor:
        return functions.argmin(self, axis, keepdims)

    def cumsum(self, axis: int = 0) -> Tensor:
        return functions.cumsum(self, axis)

    def softmax(self, axis: int = -1) -> Tensor:
        return functions.softmax(self, axis)

    def log_softmax(self, axis: int = -1) -> Tensor:
        return functions.log_softmax(self, axis)

    def astype(self, dtype: Any) -> Tensor:
        return functions.astype(self, dtype)

    def reshape(self, *shape: Any) -> Tensor:
        whole = len(shape) == 1 and not isinstance(shape[0], int)
        return functions.reshape(self, shape[0] if whole else shape)

    def permute_dims(self, *axes: Any) -> Tensor:
        whole = len(axes) == 1 and not isinstance(axes[0], int)
        return functions.permute_dims(self, axes[0] if whole else axes)

    def swapaxes(self, first: int, second: int) -> Tensor:
        return functions.swapaxes(self, first, second)

    def moveaxis(self, source: int, destination: int) -> Tensor:
        return functions.moveaxis(self, source, destination)

    def expand_dims(self, axis: int = 0) -> Tensor:
        return functions.expand_dims(self, axis)

    def squeeze(self, axis: Axis = None) -> Tensor:
        return functions.squeeze(self, axis)

    def broadcast_to(self, shape: Sequence[int]) -> Tensor:
        return functions.broadcast_to(self, shape)

    def split(self, sizes: int | Sequence[int], axis: int = 0) -> tuple[Tensor, ...]:
        return functions.split(self, sizes, axis)

    def flip(self, axis: Axis = None) -> Tensor:
        return functions.flip(self, axis)

    def roll(self, shift: int, axis: int | None = None) -> Tensor:
        return functions.roll(self, shift, axis)

    def take(self, indices: Any, axis: int = 0) -> Tensor:
        return functions.take(self, indices, axis)

    def sort(self, axis: int = -1, descending: bool = False) -> Tensor:
        return functions.sort(self, axis, descending)

    def argsort(self, axis: int = -1, descending: bool = False) -> Tensor:
        return functions.argsort(self, axis, descending)

    def clip(self, min: Any = None, max: Any = None) -> Tensor:
        return functions.clip(self, min, max)

    def exp(self) -> Tensor:
        return functions.exp(self)

    def log(self) -> Tensor:
        return functions.log(self)

    def sqrt(self) -> Tensor:
        return functions.sqrt(self)

    def rsqrt(self) -> Tensor:
        return functions.rsqrt(self)

    def square(self) -> Tensor:
        return functions.square(self)

    def tanh(self) -> Tensor:
        return functions.tanh(self)

    def sin(self) -> Tensor:
        return functions.sin(self)

    def cos(self) -> Tensor:
        return functions.cos(self)

    def erf(self) -> Tensor:
        return functions.erf(self)

    def sigmoid(self) -> Tensor:
        return functions.sigmoid(self)

    def relu(self) -> Tensor:
        return functions.relu(self)

    def gelu(self) -> Tensor:
        return functions.gelu(self)

    def silu(self) -> Tensor:
        return functions.silu(self)

    def abs(self) -> Tensor:
        return functions.abs(self)

    def floor(self) -> Tensor:
        return functions.floor(self)

    def round(self) -> Tensor:
        return functions.round(self)

    def isnan(self) -> Tensor:
        return functions.isnan(self)

    def isfinite(self) -> Tensor:
        return functions.isfinite(self)


for _name, _method in knowing_arguments(vars(Methods)).items():
    setattr(Methods, _name, _method)
