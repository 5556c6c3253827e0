"""New tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import as_dtype, float32
from tinygrad_tx.graph.place import user_place
from tinygrad_tx.runtime.buffer import Buffer
from tinygrad_tx.tensor.arrays import array_of, require_cpu
from tinygrad_tx.tensor.tensor import Tensor, TensorLike

__all__ = [
    "arange",
    "empty",
    "empty_like",
    "eye",
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


def _new(array: Any, dtype: Any, device: Any = None, requires_grad: bool = False) -> Tensor:
    require_cpu(device)
    return Tensor(Buffer.of(array, as_dtype(dtype), user_place()), requires_grad)


def _standard(array: Any, dtype: Any, device: Any) -> Tensor:
    """In `dtype`; without one floats become float32."""
    if dtype is None:
        dtype = float32 if array.dtype == np.float64 else array.dtype
    return _new(array, dtype, device)


def tensor(data: TensorLike, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor with a copy of `data`: numbers, nested lists or an array. Floats become float32,
    Python integers int64; arrays keep their dtype. Errors: ShapeError, DTypeError."""
    wanted = None if dtype is None else as_dtype(dtype)
    source = data.numpy() if isinstance(data, Tensor) else array_of(data, wanted)
    return _new(source, source.dtype if wanted is None else wanted, requires_grad=requires_grad)


def full(shape: Sizes, fill_value: Any, dtype: Any = None, *, device: Any = None) -> Tensor:
    """A tensor of that shape with `fill_value` everywhere; a float gives float32."""
    return _standard(np.full(shape, fill_value), dtype, device)


def zeros(
    shape: Sizes, dtype: Any = float32, requires_grad: bool = False, *, device: Any = None
) -> Tensor:
    """A tensor of zeros of that shape."""
    dtype = float32 if dtype is None else as_dtype(dtype)
    return _new(np.zeros(shape, dtype), dtype, device, requires_grad)


def ones(
    shape: Sizes, dtype: Any = float32, requires_grad: bool = False, *, device: Any = None
) -> Tensor:
    """A tensor of ones of that shape."""
    dtype = float32 if dtype is None else as_dtype(dtype)
    return _new(np.ones(shape, dtype), dtype, device, requires_grad)


def empty(shape: Sizes, dtype: Any = float32, *, device: Any = None) -> Tensor:
    """Zeros: memory with leftovers helps nobody here."""
    return zeros(shape, dtype, device=device)


def empty_like(x: Tensor, dtype: Any = None, *, device: Any = None) -> Tensor:
    """Zeros: memory with leftovers helps nobody here."""
    return zeros_like(x, dtype, device=device)


def zeros_like(x: Tensor, dtype: Any = None, *, device: Any = None) -> Tensor:
    """Zeros in the shape of x, and in its dtype unless another is given."""
    return zeros(x.shape, x.dtype if dtype is None else dtype, device=device)


def ones_like(x: Tensor, dtype: Any = None, *, device: Any = None) -> Tensor:
    """Ones in the shape of x, and in its dtype unless another is given."""
    return ones(x.shape, x.dtype if dtype is None else dtype, device=device)


def full_like(x: Tensor, fill_value: Any, dtype: Any = None, *, device: Any = None) -> Tensor:
    """`fill_value` in the shape of x, and in its dtype unless another is given."""
    return full(x.shape, fill_value, x.dtype if dtype is None else dtype, device=device)


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1,
    dtype: Any = None,
    *,
    device: Any = None,
) -> Tensor:
    """start, start + step, ... below stop; from 0 with one argument."""
    array = np.arange(start, stop, step) if stop is not None else np.arange(0, start, step)
    return _standard(array, dtype, device)


def linspace(
    start: float,
    stop: float,
    num: int,
    dtype: Any = float32,
    *,
    device: Any = None,
    endpoint: bool = True,
) -> Tensor:
    """`num` evenly spaced numbers from `start` on, `stop` among them where `endpoint`."""
    array = np.linspace(start, stop, num, endpoint)
    return _new(array, float32 if dtype is None else dtype, device)


def eye(
    rows: int, columns: int | None = None, dtype: Any = float32, *, k: int = 0, device: Any = None
) -> Tensor:
    """Ones on diagonal `k`."""
    return _new(np.eye(rows, columns, k), float32 if dtype is None else dtype, device)
