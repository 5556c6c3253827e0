"""The numbers of a tensor in an ONNX file, or in a file beside it; nothing is believed.

What a file declares is compared with what it holds before memory is taken. A file of weights must
lie in the folder of the model, or below it.
"""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import COMPUTE, STORAGE
from tinygrad_tx.interop.foreign import printable
from tinygrad_tx.interop.onnx_file import refused
from tinygrad_tx.runtime.buffer import Array
from tinygrad_tx.untrusted import UntrustedFile

__all__ = ["array_of"]

_FIELDS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")


def array_of(tensor: Any, path: Path, claimed: dict[Path, int] | None = None) -> Array:
    """The numbers of `tensor`, which stands in the model at `path`.

    claimed: bytes of each file beside it that tensors took so far: together no more than it has.

    Errors: OnnxError for a type that is not computed with here, a shape that is not that of the
    numbers, a file of weights that is elsewhere, missing or too short.
    """
    from onnx import TensorProto
    from onnx.numpy_helper import to_array

    name = f"tensor {printable(tensor.name)!r}"
    dims, dtype = tuple(tensor.dims), _dtype(tensor, path)
    if len(dims) > 32 or any(n < 0 for n in dims):
        raise refused(path, f"{name} claims the shape {dims[:32]}", "export the model again")
    nbytes = prod(dims) * dtype.itemsize
    if tensor.data_location == TensorProto.EXTERNAL:
        return _external(tensor, path, nbytes, dtype, claimed).reshape(dims)
    if tensor.HasField("raw_data"):
        held = len(tensor.raw_data)
    else:
        fields = [f for f in _FIELDS if len(getattr(tensor, f))]
        held = sum(len(getattr(tensor, f)) for f in fields) * dtype.itemsize
    if held != nbytes:
        what = f"{name} claims {nbytes:,} bytes and holds {held:,}"
        raise refused(path, what, "the file is damaged; export or download it again")
    try:
        return np.array(to_array(tensor), dtype).reshape(dims)
    except (ValueError, TypeError, OverflowError) as error:
        raise refused(path, f"{name}: {printable(str(error), 120)}") from None


def _dtype(tensor: Any, path: Path) -> np.dtype[Any]:
    from onnx import TensorProto
    from onnx.helper import tensor_dtype_to_np_dtype

    try:
        dtype: np.dtype[Any] = np.dtype(tensor_dtype_to_np_dtype(tensor.data_type))
        if dtype in COMPUTE or dtype in STORAGE:
            return dtype
        word = TensorProto.DataType.Name(tensor.data_type)
    except (KeyError, TypeError, ValueError):
        word = f"type {tensor.data_type}"
    known = ", ".join(str(d) for d in (*COMPUTE, *STORAGE))
    what = f"tensor {printable(tensor.name)!r} is {word}, of which there is no arithmetic here"
    raise refused(path, what, f"export it in one of {known}")


def _external(
    tensor: Any, path: Path, nbytes: int, dtype: np.dtype[Any], claimed: dict[Path, int] | None
) -> Array:
    """A piece of a file below the model's folder."""
    name = f"tensor {printable(tensor.name)!r}"
    found = {entry.key: entry.value for entry in tensor.external_data}
    location = found.get("location", "")
    shown = printable(location)
    folder = path.resolve().parent
    try:
        offset, length = int(found.get("offset", 0)), int(found.get("length", nbytes))
        file = (folder / location).resolve()
        is_below = file.is_relative_to(folder) and not Path(location).is_absolute()
        if not location or not is_below:
            what = f"{name} lies in {shown!r}, outside of the model's folder"
            raise refused(path, what, "put the weights beside the model")
        if not file.is_file():
            what = f"{name} lies in {shown!r}, which is no file here"
            raise refused(path, what, "put the weights beside the model")
        size = file.stat().st_size
    except (ValueError, OSError, RuntimeError) as error:
        raise refused(path, f"{name}: {printable(str(error), 120)}") from None
    if length != nbytes or offset < 0 or offset + nbytes > size:
        what = f"{name} claims {nbytes:,} bytes at {offset:,} of {shown!r}, which has {size:,}"
        raise refused(path, what, "the files do not belong together, or one is cut short")
    if claimed is not None:
        claimed[file] = claimed.get(file, 0) + nbytes
        if claimed[file] > size:
            what = f"tensors claim more than the {size:,} bytes of {shown!r}, up to {name}"
            raise refused(path, what, "a piece of a file is one tensor")
    try:
        raw = UntrustedFile.at(file).piece(offset, nbytes)
    except OSError as error:
        raise refused(path, f"{name}: {shown!r}: {error.strerror}") from None
    values: Array = raw.view(dtype.newbyteorder("<")).astype(dtype, copy=False)
    return values
