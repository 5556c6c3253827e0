"""How others take a Tensor: copies, pickles, NumPy's protocols, DLPack, the array API standard."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

import tinygrad_tx.tensor as functions
from tinygrad_tx import capture
from tinygrad_tx.dtypes import DType
from tinygrad_tx.errors import DeviceError, SharingError, explain
from tinygrad_tx.runtime.buffer import AbstractBuffer, Array, Buffer
from tinygrad_tx.shapes import Shape

if TYPE_CHECKING:
    from tinygrad_tx.tensor.tensor import Tensor

__all__ = ["API_VERSION", "CPU", "Protocols"]

API_VERSION = "2025.12"  # of the array API standard
CPU = (1, 0)  # kDLCPU in DLPack, and the number of the device


class Protocols:
    """What a Tensor answers when another library asks for its memory or its functions."""

    __slots__ = ()

    def __array__(self: Any, dtype: Any = None, copy: bool | None = None) -> Array:
        """The values: the memory itself, read-only, where neither a dtype nor a copy is asked for.

        Errors: ValueError for copy=False where another dtype needs one, CaptureError.
        """
        capture.refuse("a NumPy array of a tensor")
        array: Array = self.exported()
        if dtype is None or np.dtype(dtype) == array.dtype:
            return array.copy() if copy else array
        if copy is False:
            what = f"{array.dtype} as {np.dtype(dtype)} needs a copy"
            raise SharingError(explain("array", what, remedy="leave out copy=False"))
        return array.astype(dtype)

    def __dlpack__(
        self: Any,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """The memory as a DLPack capsule, which holds it; a copy only where copy=True.

        Marked read-only from DLPack 1.0 on. Older capsules cannot say so: whoever takes one (as JAX
        does) must not write. Errors: SharingError for another device or copy=False where memory
        that is read-only itself goes into an old capsule, CaptureError.
        """
        capture.refuse("__dlpack__")
        if stream is not None or (dl_device is not None and tuple(map(int, dl_device)) != CPU):
            what = f"the memory is on the CPU, not on {dl_device or f'stream {stream}'}"
            raise SharingError(explain("dlpack", what, remedy="ask for device (1, 0)"))
        array: Array = self.exported()
        if copy:
            return array.copy().__dlpack__(max_version=max_version)
        if max_version is not None and max_version[0] >= 1:
            return array.__dlpack__(max_version=max_version)
        memory = self.array
        if not memory.flags.writeable:
            if copy is False:
                what = "an old capsule cannot say that memory is read-only"
                remedy = "ask with max_version=(1, 0), or allow a copy"
                raise SharingError(explain("dlpack", what, remedy=remedy))
            memory = memory.copy()
        return memory.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return CPU

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        """The functions under the names of the array API standard. Errors: ValueError."""
        if api_version is not None and not "2021.12" <= api_version <= API_VERSION:
            what = f"version {api_version} of the standard is not known"
            remedy = f"ask for {API_VERSION} or before"
            raise DeviceError(explain("array namespace", what, remedy=remedy))
        return importlib.import_module("tinygrad_tx")

    def to_device(self: Any, device: str, /, *, stream: Any = None) -> Tensor:
        """The tensor itself: there is one device. Errors: DeviceError."""
        if device != "cpu" or stream is not None:
            what = f"there is no device {device!r} with stream {stream!r}"
            raise DeviceError(explain("to_device", what, remedy='use "cpu"'))
        tensor: Tensor = self
        return tensor

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """np.exp(tensor), array + tensor, ...: see tinygrad_tx.tensor.numpy_calls."""
        return functions.numpy_calls.ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """np.concatenate([tensor, ...]), ...: see tinygrad_tx.tensor.numpy_calls."""
        return functions.numpy_calls.function(func, args, kwargs)

    def __reduce__(self: Any) -> Any:
        """For copies and pickles: a tensor of its own, with the same values."""
        if self.is_leaf and not self.buffer.is_real:
            return _abstract, (self.shape, self.dtype, self.requires_grad)
        return _concrete, (self.numpy(), self.requires_grad and self.is_leaf)


def _concrete(array: Array, requires_grad: bool) -> Tensor:
    return functions.Tensor(Buffer.of(array), requires_grad)


def _abstract(shape: Shape, dtype: DType, requires_grad: bool) -> Tensor:
    return functions.Tensor(AbstractBuffer(shape, dtype), requires_grad)
