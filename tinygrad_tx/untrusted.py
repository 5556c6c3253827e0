"""Files that someone else may have written: read within bounds, and believed in nothing.

Every reader of such files starts here. Files are opened without waiting (a pipe would hang), must
be ordinary ones, and are never mapped: a mapped file that shrinks ends the process by a signal.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_tx.shapes import Shape

__all__ = [
    "LARGEST_TEXT",
    "Stored",
    "TensorFile",
    "UntrustedFile",
    "inside",
    "memory_of_machine",
    "opened",
    "parse_json",
    "read_bytes",
    "read_safetensors",
    "read_text",
]

LARGEST_TEXT = 100_000_000
"""Bytes of a text: the largest tokenizer.json known has some 20 million."""

LARGEST_HEADER = 100_000_000
"""Bytes; the bound of the safetensors library."""

MOST_AXES = 32
PIECE = 1 << 20
Array = np.ndarray[Any, Any]

_DTYPES: Mapping[str, str] = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}


def read_bytes(path: Path | str, largest: int = LARGEST_TEXT) -> bytes:
    """The whole file. Errors: OSError, also for a pipe, a device, a folder or too many bytes."""
    with opened(path) as (file, size):
        parts, taken = [], 0
        # Not one read of `size`: files under /proc say 0, and a file may grow meanwhile.
        while taken <= largest and size <= largest and (part := file.read(PIECE)):
            parts.append(part)
            taken += len(part)
    if max(taken, size) > largest:
        raise OSError(errno.EFBIG, f"{max(taken, size):,} bytes are more than {largest:,}")
    return b"".join(parts)


def read_text(path: Path | str, largest: int = LARGEST_TEXT) -> str:
    """The text of a UTF-8 file, ends of lines as "\\n".

    Errors: OSError as `read_bytes`; ValueError where it is not UTF-8.
    """
    raw = read_bytes(path, largest)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 at byte {error.start}") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_json(text: str | bytes, *, finite: bool = False) -> Any:
    """What a JSON text says.

    finite: refuse NaN and Infinity, which are not JSON but which Python writes.
    Errors: ValueError; also for a key that is there twice, a text that is no Unicode, and nests
    too deep to be read.
    """
    try:
        found = json.loads(
            text,
            object_pairs_hook=_without_doubles,
            parse_constant=_refuse_constant if finite else None,
        )
        # "\ud800" is half a character: nothing that it gets into could be written.
        json.dumps(found, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it nests too deep") from None
    except UnicodeEncodeError:
        raise ValueError("it holds half a character") from None
    return found


@contextmanager
def opened(path: Path | str) -> Iterator[tuple[BufferedReader, int]]:
    """An ordinary file for reading, and its size. Errors: OSError for anything else."""
    flags = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        handle = os.open(path, os.O_RDONLY | flags)
    except ValueError as error:  # a zero byte in the name
        raise OSError(errno.EINVAL, str(error)) from None
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no ordinary file")
        yield file, found.st_size


@dataclass(frozen=True)
class UntrustedFile:
    """A file that is read in pieces, as it was when it was first looked at.

    mark: device, inode, size and time of change.
    """

    path: Path
    size: int
    mark: tuple[int, ...]

    @classmethod
    def at(cls, path: Path | str) -> UntrustedFile:
        """Errors: OSError for what is no ordinary file, or larger than the machine's memory."""
        with opened(path) as (file, size):
            if size > memory_of_machine():
                what = f"{size:,} bytes are more than this machine's memory"
                raise OSError(errno.EFBIG, what)
            return cls(Path(path), size, _mark_of(file))

    def piece(self, start: int, count: int) -> Array:
        """Bytes as an array. Errors: OSError where the file is no longer what it was."""
        with opened(self.path) as (file, size):
            if _mark_of(file) != self.mark or not 0 <= start <= start + count <= size:
                raise OSError(errno.ESTALE, "it changed while it was read")
            found = np.empty(count, np.uint8)
            file.seek(start)
            if file.readinto(found.data) != count:
                raise OSError(errno.ESTALE, "it was cut short while it was read")
        return found


@dataclass(frozen=True, eq=False)
class Stored:
    """An array as it lies in a file. `np.asarray` reads it; bfloat16 becomes float32.

    Errors: OSError from reading, where the file changed; ValueError for a bool that is none.
    """

    shape: Shape
    kind: str
    start: int
    count: int
    file: UntrustedFile

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise ValueError("what lies in a file cannot be read without a copy")
        raw = self.file.piece(self.start, self.count)
        if self.kind == "BOOL" and (raw > 1).any():
            raise ValueError("a BOOL is neither true nor false")
        array = raw.view(_DTYPES[self.kind])
        if self.kind == "BF16":  # the upper half of a float32
            array = (array.astype(np.uint32) << 16).view(np.float32)
        array = array.reshape(self.shape)
        return array if dtype is None else array.astype(dtype, copy=False)


@dataclass(frozen=True, eq=False)
class TensorFile:
    """What a safetensors file holds: notes, and arrays that are read when they are asked for."""

    notes: Mapping[str, str]
    arrays: Mapping[str, Stored]


def read_safetensors(path: Path | str) -> TensorFile:
    """The header of a safetensors file, everything in it compared with the size of the file.

    Arrays lie one behind the other and fill the file, as the format demands. Errors: OSError;
    ValueError for a file that is damaged, or none of this kind.
    """
    file = UntrustedFile.at(path)
    if file.size < 8:
        raise ValueError(f"{file.size} bytes are too few for a header")
    length = int(file.piece(0, 8).view("<u8")[0])
    if length > min(LARGEST_HEADER, file.size - 8):
        raise ValueError(f"a header of {length:,} bytes in a file of {file.size:,}")
    header = parse_json(file.piece(8, length).tobytes(), finite=True)
    if not isinstance(header, dict):
        raise ValueError("its header is not an object")
    notes = header.pop("__metadata__", {})
    if not isinstance(notes, dict) or not all(isinstance(v, str) for v in notes.values()):
        raise ValueError("its __metadata__ is not an object of texts")
    arrays = {name: _stored(name, row, 8 + length, file) for name, row in header.items()}
    end = 8 + length
    for name, stored in sorted(arrays.items(), key=lambda item: (item[1].start, item[1].count)):
        if stored.start != end:
            raise ValueError(f"{name!r} starts at byte {stored.start:,}, not at {end:,}")
        end += stored.count
    if end != file.size:
        raise ValueError(f"its arrays end at byte {end:,} of {file.size:,}")
    return TensorFile(notes, arrays)


def inside(folder: Path, name: str) -> Path:
    """A file that another file of `folder` names. Errors: ValueError where it lies elsewhere.

    A link may lead to `../../blobs`, where the caches of Hugging Face keep what folders share.
    """
    if not name or Path(name).name != name or not name.isprintable() or "\\" in name:
        raise ValueError(f"points out of its folder: {name!r}")
    path = folder / name
    real, home = path.resolve(), folder.resolve()
    shared = home.parent.parent / "blobs"
    if real.parent != home and not (home.parent.name == "snapshots" and real.parent == shared):
        raise ValueError(f"points out of its folder: {name!r} is a link to elsewhere")
    return path


def memory_of_machine() -> int:
    """Bytes; what is larger cannot be loaded whatever it is."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # a system that does not tell
        return 1 << 40


def _stored(name: str, row: Any, base: int, file: UntrustedFile) -> Stored:
    """A row of a header. Errors: ValueError."""
    if not isinstance(row, dict) or row.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name!r} is not described by dtype, shape and data_offsets")
    kind, shape, offsets = row["dtype"], row["shape"], row["data_offsets"]
    if not isinstance(kind, str) or kind not in _DTYPES:
        raise ValueError(f"{name!r}: dtype {kind!r} is not known")
    if not _are_sizes(shape) or len(shape) > MOST_AXES or not _are_sizes(offsets):
        raise ValueError(f"{name!r}: its shape or data_offsets are no sizes")
    count = np.dtype(_DTYPES[kind]).itemsize
    for size in shape:
        count *= max(size, 1)  # NumPy has no array of (0, 2**62, 2**62) either
    if count >= 1 << 62:
        raise ValueError(f"{name!r} claims a shape that no memory holds")
    count = 0 if 0 in shape else count
    if len(offsets) != 2 or offsets[1] - offsets[0] != count or base + offsets[1] > file.size:
        raise ValueError(f"{name!r} claims {count:,} bytes at {offsets}")
    return Stored(tuple(shape), kind, base + offsets[0], count, file)


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(v) is int and v >= 0 for v in values)


def _mark_of(file: BufferedReader) -> tuple[int, ...]:
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON")
