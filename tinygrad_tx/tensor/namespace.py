"""What the array API standard asks of a namespace beside functions: dtypes, limits, constants."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import COMPUTE, DType, as_dtype, float32, int64, promote, scalar_dtype
from tinygrad_tx.errors import DTypeError, explain
from tinygrad_tx.tensor.arrays import require_cpu
from tinygrad_tx.tensor.protocols import API_VERSION
from tinygrad_tx.tensor.tensor import Tensor

__all__ = [
    "Info",
    "__array_api_version__",
    "__array_namespace_info__",
    "can_cast",
    "e",
    "finfo",
    "iinfo",
    "inf",
    "isdtype",
    "nan",
    "newaxis",
    "pi",
    "result_type",
]

__array_api_version__ = API_VERSION

e = math.e
"""The base of natural logarithms."""
inf = math.inf
"""Infinity."""
nan = math.nan
"""Not a number."""
pi = math.pi
"""Half the circumference of the unit circle."""
newaxis = None
"""In an index: an axis of length 1, as in NumPy."""


@dataclass(frozen=True)
class FloatLimits:
    """What a floating dtype can hold."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: DType


@dataclass(frozen=True)
class IntegerLimits:
    """What an integer dtype can hold."""

    bits: int
    max: int
    min: int
    dtype: DType


def _dtype_of(value: Any) -> DType:
    return value.dtype if isinstance(value, (Tensor, np.ndarray)) else as_dtype(value)


def finfo(type: Any) -> FloatLimits:
    """The limits of a floating dtype, or of that of a tensor. Errors: DTypeError."""
    dtype = _dtype_of(type)
    if dtype.kind != "f":
        raise DTypeError(explain("finfo", f"{dtype} is not a floating dtype", remedy="use iinfo"))
    found = np.finfo(dtype)
    return FloatLimits(
        found.bits,
        float(found.eps),
        float(found.max),
        float(found.min),
        float(found.smallest_normal),
        dtype,
    )


def iinfo(type: Any) -> IntegerLimits:
    """The limits of an integer dtype, or of that of a tensor. Errors: DTypeError."""
    dtype = _dtype_of(type)
    if dtype.kind not in "iu":
        raise DTypeError(explain("iinfo", f"{dtype} is not an integer dtype", remedy="use finfo"))
    found = np.iinfo(dtype)
    return IntegerLimits(found.bits, int(found.max), int(found.min), dtype)


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether `dtype` is of a kind ("bool", "signed integer", "unsigned integer", "integral",
    "real floating", "complex floating", "numeric"), or is that dtype, or one of a tuple of both."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return any(
        np.isdtype(_dtype_of(dtype), k) if isinstance(k, str) else _dtype_of(dtype) == np.dtype(k)
        for k in kinds
    )


def can_cast(from_: Any, to: Any) -> bool:
    """Whether each value of one dtype (or of a tensor's) is one of another dtype."""
    return bool(np.can_cast(_dtype_of(from_), as_dtype(to)))


def result_type(*arrays_and_dtypes: Any) -> DType:
    """The dtype of an operation on all of these; Python numbers are weak. Errors: DTypeError."""
    numbers = [v for v in arrays_and_dtypes if type(v) in (bool, int, float)]
    dtypes = [_dtype_of(v) for v in arrays_and_dtypes if type(v) not in (bool, int, float)]
    if not dtypes:
        if not numbers:
            raise DTypeError(explain("result_type", "needs at least one tensor or dtype"))
        dtypes = [{bool: np.dtype(np.bool_), int: int64, float: float32}[type(numbers[0])]]
    common = dtypes[0]
    for dtype in dtypes[1:]:
        common = promote(common, dtype)
    for number in numbers:
        common = scalar_dtype(number, common)
    return common


class Info:
    """What can be asked of this namespace: see the standard's `__array_namespace_info__`."""

    def capabilities(self) -> dict[str, Any]:
        """Masks and shapes that depend on values need known values: not under `tx.jit`."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        return "cpu"

    def devices(self) -> tuple[str, ...]:
        return ("cpu",)

    def default_dtypes(self, *, device: Any = None) -> dict[str, DType]:
        require_cpu(device)
        return {"real floating": float32, "integral": int64, "indexing": int64}

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, DType]:
        """The dtypes that one can compute with, by name."""
        require_cpu(device)
        return {d.name: d for d in COMPUTE if kind is None or isdtype(d, kind)}


def __array_namespace_info__() -> Info:  # noqa: N807  # the standard's name
    """What this namespace can do, in the standard's words."""
    return Info()
