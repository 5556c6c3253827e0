"""Arrays of other libraries as tensors, without a copy where their memory is laid out like ours.

A tensor that shares memory shows what is there at the moment when an operation uses it; nobody is
kept from writing there but us. A captured step reads it anew at each call, as it does all state.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_tx.dtypes import as_dtype
from tinygrad_tx.errors import DTypeError, SharingError, explain
from tinygrad_tx.graph.place import user_place
from tinygrad_tx.runtime.buffer import Array, Buffer
from tinygrad_tx.tensor.arrays import require_cpu
from tinygrad_tx.tensor.creation import tensor
from tinygrad_tx.tensor.tensor import Tensor

__all__ = ["asarray", "from_dlpack"]


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor on the memory of an array of another library that knows DLPack.

    copy: None copies only where it must (strides other than C order, memory that is not aligned),
    True always, False never. Errors: SharingError (a BufferError) where copy=False and a copy is
    needed, or the memory is not the CPU's; DTypeError for dtypes that are not here.
    """
    require_cpu(device)
    if isinstance(x, Tensor):
        return tensor(x) if copy else x.detach()
    if not hasattr(x, "__dlpack__"):
        what = f"{type(x).__name__} has no __dlpack__"
        raise DTypeError(explain("from_dlpack", what, remedy="use tx.asarray"))
    try:
        array = np.from_dlpack(x, copy=False) if copy is False else np.from_dlpack(x)
    except RuntimeError as error:  # what NumPy says of dtypes that it does not have, as bfloat16
        what = f"{getattr(x, 'dtype', 'its dtype')}: {str(error).rstrip('.')}"
        remedy = "convert it to float32 in the other library first"
        raise DTypeError(explain("from_dlpack", what, remedy=remedy)) from None
    except BufferError as error:
        raise SharingError(explain("from_dlpack", str(error).rstrip("."))) from error
    return _tensor_on(array, copy, "from_dlpack")


def asarray(
    obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None
) -> Tensor:
    """`obj` as a tensor: a tensor itself, numbers and lists, or an array of another library.

    Unlike `tx.tensor`, which always copies, this shares memory where it can: see `from_dlpack` for
    what that means and for `copy`. Errors: SharingError, DTypeError, ShapeError.
    """
    require_cpu(device)
    wanted = None if dtype is None else as_dtype(dtype)
    if isinstance(obj, Tensor):
        if copy or wanted not in (None, obj.dtype):
            return _copied(obj, wanted, copy, "asarray")
        return obj
    if not isinstance(obj, np.ndarray) and hasattr(obj, "__dlpack__"):
        found = from_dlpack(obj, copy=copy)
        return found if wanted in (None, found.dtype) else _copied(found, wanted, copy, "asarray")
    if isinstance(obj, (np.generic, np.ma.MaskedArray)) or not _has_memory(obj):
        return _copied(obj, wanted, copy, "asarray")
    array = np.asarray(obj)
    if wanted not in (None, array.dtype):
        return _copied(array, wanted, copy, "asarray")
    return _tensor_on(array, copy, "asarray")


def _has_memory(obj: Any) -> bool:
    """Whether it is an array of its own kind, and no list or number."""
    if hasattr(obj, "__array_interface__") or hasattr(obj, "__array__"):
        return True
    try:
        memoryview(obj)
    except TypeError:
        return False
    return True


def _copied(obj: Any, dtype: Any, copy: bool | None, operation: str) -> Tensor:
    if copy is False:
        kind = type(obj).__name__
        what = f"a tensor of {kind}{f' as {dtype}' if dtype else ''} needs a copy"
        raise SharingError(explain(operation, what, remedy="leave out copy=False"))
    return tensor(obj, dtype)


def _tensor_on(array: Array, copy: bool | None, operation: str) -> Tensor:
    """A tensor on the memory of `array`, or of a copy."""
    as_dtype(array.dtype)
    flags = array.flags
    can_share = flags.c_contiguous and flags.aligned and array.dtype.isnative
    if copy or not can_share:
        if copy is False:
            what = f"memory with strides {array.strides} for {array.shape} needs a copy"
            raise SharingError(explain(operation, what, remedy="leave out copy=False"))
        return tensor(array)
    return Tensor(Buffer.on(array, user_place()))
