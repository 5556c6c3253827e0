"""New tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import as_dtype, float32
from tinygrad_tx.graph.place import user_place
from tinygrad_tx.runtime.buffer import Buffer
from tinygrad_tx.tensor.tensor import Tensor, TensorLike, as_tensor

__all__ = [
    "arange",
    "empty",
    "eye",
    "from_dlpack",
    "full",
    "full_like",
    "linspace",
    "ones",
    "ones_like",
    "tensor",
    "zeros",
    "zeros_like",
]

Sizes = int | Sequence[int]


def _new(array: Any, dtype: Any, requires_grad: bool = False) -> Tensor:
    return Tensor(Buffer.of(array, as_dtype(dtype), user_place()), requires_grad)


def tensor(data: TensorLike, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor with a copy of `data`: numbers, nested lists or an array. Floats become float32,
    Python integers int64; arrays keep their dtype. Errors: ShapeError, DTypeError."""
    source = data.numpy() if isinstance(data, Tensor) else as_tensor(data).numpy()
    return _new(source, source.dtype if dtype is None else dtype, requires_grad)


def full(shape: Sizes, value: Any, dtype: Any = None) -> Tensor:
    array = np.full(shape, value)
    standard = float32 if array.dtype == np.float64 else array.dtype
    return _new(array, standard if dtype is None else dtype)


def zeros(shape: Sizes, dtype: Any = float32, requires_grad: bool = False) -> Tensor:
    return _new(np.zeros(shape, as_dtype(dtype)), dtype, requires_grad)


def ones(shape: Sizes, dtype: Any = float32, requires_grad: bool = False) -> Tensor:
    return _new(np.ones(shape, as_dtype(dtype)), dtype, requires_grad)


def empty(shape: Sizes, dtype: Any = float32) -> Tensor:
    """Zeros: memory with leftovers helps nobody here."""
    return zeros(shape, dtype)


def zeros_like(x: Tensor, dtype: Any = None) -> Tensor:
    return zeros(x.shape, x.dtype if dtype is None else dtype)


def ones_like(x: Tensor, dtype: Any = None) -> Tensor:
    return ones(x.shape, x.dtype if dtype is None else dtype)


def full_like(x: Tensor, value: Any, dtype: Any = None) -> Tensor:
    return full(x.shape, value, x.dtype if dtype is None else dtype)


def arange(start: float, stop: float | None = None, step: float = 1, dtype: Any = None) -> Tensor:
    """start, start + step, ... below stop; from 0 with one argument."""
    array = np.arange(start, stop, step) if stop is not None else np.arange(0, start, step)
    standard = float32 if array.dtype == np.float64 else array.dtype
    return _new(array, standard if dtype is None else dtype)


def linspace(start: float, stop: float, num: int, dtype: Any = float32) -> Tensor:
    """`num` evenly spaced numbers, both ends included."""
    return _new(np.linspace(start, stop, num), dtype)


def eye(rows: int, columns: int | None = None, dtype: Any = float32) -> Tensor:
    """Ones on the diagonal."""
    return _new(np.eye(rows, columns), dtype)


def from_dlpack(x: Any) -> Tensor:
    """A copy of an array of another library."""
    array = np.from_dlpack(x)
    return _new(array, array.dtype)
