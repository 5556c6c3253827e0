"""What comes from outside: values that are no tensors yet, and memory that others may write to."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_tx import capture
from tinygrad_tx.dtypes import DType, as_dtype
from tinygrad_tx.errors import DeviceError, DTypeError, ShapeError, explain
from tinygrad_tx.runtime.buffer import Array, Buffer, realized
from tinygrad_tx.runtime.evaluate import evaluate

if TYPE_CHECKING:
    from tinygrad_tx.tensor.tensor import Tensor

__all__ = ["array_of", "as_one_operation", "require_cpu", "settle_foreign", "used"]


def array_of(value: Any, dtype: DType | None = None) -> Array:
    """`value`, which is no tensor, as an array of a dtype that we have; in `dtype` where given."""
    if isinstance(value, np.ma.MaskedArray):
        remedy = "use filled(value) of the array"
        raise DTypeError(explain("tensor", "a masked array would lose its mask", remedy=remedy))
    try:
        array = np.asarray(value)
        if array.dtype.kind in "US":
            remedy = "a tokenizer makes numbers of text: tx.data.ByteTokenizer().encode(text)"
            raise DTypeError(
                explain("tensor", f"text ({array.dtype}) is no numbers", remedy=remedy)
            )
        if dtype is not None and not isinstance(value, (np.ndarray, np.generic)):
            # Not by way of another dtype, where it would lose digits.
            array = np.asarray(value, dtype)
    except ValueError:
        remedy = "give lists of equal lengths"
        raise ShapeError(explain("tensor", "not a regular array", remedy=remedy)) from None
    except OverflowError as error:
        raise DTypeError(explain("tensor", str(error), remedy="use a wider dtype")) from None
    if array.dtype == object:
        raise _unusable(value)
    if dtype is None and array.dtype == np.float64:
        has_dtype = isinstance(value, (np.ndarray, np.generic))
        dtype = array.dtype if has_dtype else np.dtype(np.float32)
    return np.asarray(array, as_dtype(array.dtype if dtype is None else dtype))


def _unusable(value: Any) -> DTypeError:
    """The error for what NumPy would only keep as objects."""
    what, remedy = f"cannot make one of {type(value).__name__}", "give numbers, lists, an array"
    if isinstance(value, (list, tuple)):
        inner = np.asarray(value, object).reshape(-1)
        odd = next((v for v in inner if not isinstance(v, (float, np.generic))), None)
        what = f"the list holds {type(odd).__name__}"
        if isinstance(odd, int):
            what, remedy = "the list holds integers beyond int64", "give them as floats"
    elif isinstance(value, np.ndarray):
        what, remedy = "the array holds Python objects", "convert it: array.astype(np.float32)"
    elif isinstance(value, int):
        what, remedy = f"{value} is beyond int64", "give it as a float"
    elif isinstance(value, (set, dict, Iterator)):
        remedy = "make a list of it first: list(values)"
    return DTypeError(explain("tensor", what, remedy=remedy))


class _Used(threading.local):
    """Memory of other libraries that the operation which is being built reads."""

    def __init__(self) -> None:
        self.buffers: list[Buffer] = []
        self.depth = 0


used = _Used()


@contextmanager
def as_one_operation() -> Iterator[None]:
    """What is built inside is settled together, by `settle_foreign` afterwards."""
    used.depth += 1
    try:
        yield
    finally:
        used.depth -= 1


def settle_foreign(results: Sequence[Tensor]) -> None:
    """Fixes what `results` read of memory that other libraries may write to.

    It counts as it is now: they are computed at once, or, where a gradient will need to read it
    again, from a copy. The next operation reads anew: its leaf is another.
    """
    if capture.current() is not None or not used.buffers or used.depth:
        return
    buffers = list(dict.fromkeys(used.buffers))
    used.buffers.clear()
    if any(t.requires_grad for t in results):
        realized.update({b.leaf: b.array.copy() for b in buffers})
    else:
        evaluate([t.node for t in results])
    for buffer in buffers:
        buffer.touch()


def require_cpu(device: Any) -> None:
    """Errors: DeviceError for anything but "cpu" or None."""
    if device not in (None, "cpu"):
        raise DeviceError(explain("device", f"{device!r} is not here", remedy='use "cpu"'))
