"""Element types and their promotion. A dtype here is simply a `numpy.dtype`."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_tx.errors import DTypeError, explain

__all__ = [
    "COMPUTE",
    "STORAGE",
    "DType",
    "as_dtype",
    "bool_",
    "float16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "is_float",
    "is_integer",
    "promote",
    "scalar_dtype",
    "uint8",
]

DType = np.dtype[Any]
"""A dtype is a `numpy.dtype`."""

float32 = np.dtype(np.float32)
"""Computed with; what floats become unless asked otherwise."""
float64 = np.dtype(np.float64)
"""Computed with."""
int32 = np.dtype(np.int32)
"""Computed with."""
int64 = np.dtype(np.int64)
"""Computed with; what Python integers become."""
bool_ = np.dtype(np.bool_)
"""Truth; also `tx.bool`."""
float16 = np.dtype(np.float16)
"""For storage alone: `astype` before computing."""
int8 = np.dtype(np.int8)
"""For storage alone."""
int16 = np.dtype(np.int16)
"""For storage alone."""
uint8 = np.dtype(np.uint8)
"""For storage alone."""

COMPUTE = (float32, float64, int32, int64, bool_)
"""Dtypes that can be computed with."""
STORAGE = (float16, int8, int16, uint8)
"""Dtypes of weights on disk: convert with `astype` before computing."""


def as_dtype(value: Any) -> DType:
    """`value` as one of the supported dtypes. Errors: DTypeError."""
    try:
        dtype: DType = np.dtype(value)
    except TypeError as error:
        remedy = f"use one of {_names()}"
        if isinstance(value, int):
            remedy = "a shape is one argument: tx.zeros((2, 3))"
        what = f"{value!r} is not an element type"
        raise DTypeError(explain("dtype", what, remedy=remedy)) from error
    dtype = dtype.newbyteorder("=")  # memory in the other byte order is turned around when read
    if dtype not in COMPUTE and dtype not in STORAGE:
        remedy = f"use one of {_names()}"
        if dtype.kind == "u":
            remedy = f"convert it: array.astype(np.int64); there are {_names()}"
        # Types that ml_dtypes adds to NumPy's are refused as where it is not installed.
        is_added = dtype.kind == "V" and isinstance(value, str)
        what = f"{value!r} is not an element type" if is_added else f"{dtype} is not supported"
        raise DTypeError(explain("dtype", what, remedy=remedy))
    return dtype


def _names() -> str:
    return ", ".join(str(d) for d in (*COMPUTE, *STORAGE))


def is_float(dtype: DType) -> bool:
    """Whether it is one of the floating dtypes."""
    return dtype.kind == "f"


def is_integer(dtype: DType) -> bool:
    """Whether it is one of the integer dtypes; bool is not."""
    return dtype.kind in "iu"


def promote(left: DType, right: DType) -> DType:
    """The dtype of an operation on two tensors, as in NumPy 2 (int64 with float32 is float64)."""
    return left if left == right else np.promote_types(left, right)


def scalar_dtype(value: bool | int | float, other: DType) -> DType:
    """The dtype that a Python scalar takes beside a tensor of dtype `other`: it is weak.

    The scalar only changes the kind: a float beside an integer tensor gives float64, as in
    NumPy 2, and an int beside a bool tensor gives int64.
    """
    if isinstance(value, bool):
        return other
    if isinstance(value, int):
        return int64 if other == bool_ else other
    return other if is_float(other) else float64
