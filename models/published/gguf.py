"""GGUF, the files of llama.cpp: metadata, a table of arrays, and the arrays, which stay on disk.

A file is not trusted: every count, length, offset and size in it is compared with the file's own
size before anything of that size is made. Nothing in it is run.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tinygrad_tx.errors import CheckpointError, explain
from tinygrad_tx.models.published.blocks import FORMATS, Format, unpacked
from tinygrad_tx.shapes import Shape
from tinygrad_tx.untrusted import UntrustedFile, opened

__all__ = ["GGUF", "Packed", "read_gguf"]

Array = np.ndarray[Any, Any]
VERSIONS = (2, 3)
LONGEST_NAME = 65_535  # bytes, as the format has it for keys
LARGEST_ALIGNMENT = 1 << 20
MOST_AXES = 4
MOST_ENTRIES = 100_000  # keys, or arrays; the largest models have some thousands
# Bytes of the shortest entry: a key, its type and one byte; a name, axes, a type and an offset.
LEAST_METADATA, LEAST_TENSOR = 8 + 1 + 4 + 1, 8 + 1 + 4 + 8 + 4 + 8

_NUMBERS: Mapping[int, str] = {
    0: "<u1",
    1: "<i1",
    2: "<u2",
    3: "<i2",
    4: "<u4",
    5: "<i4",
    6: "<f4",
    7: "?",
    10: "<u8",
    11: "<i8",
    12: "<f8",
}
_STRING, _LIST = 8, 9


@dataclass(frozen=True, eq=False)
class Packed:
    """An array as it lies in the file. `np.asarray` unpacks it to float32.

    Errors: CheckpointError from unpacking, for a weight that is not finite, and where the file is
    no longer what it was.
    """

    name: str
    shape: Shape
    form: Format
    start: int
    file: UntrustedFile
    source: str

    @property
    def bytes(self) -> int:
        return prod(self.shape) // self.form.weights * self.form.bytes

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise ValueError(f"{self.name}: cannot be unpacked without a copy.")
        try:
            raw = self.file.piece(self.start, self.bytes)
        except OSError as error:
            what = f"cannot be read: {error.strerror}"
            raise CheckpointError(explain(self.source, what)) from None
        values = unpacked(self.form, raw).reshape(self.shape)
        if not np.isfinite(values).all():
            what = f"is damaged: {self.name} holds weights that are not finite"
            raise CheckpointError(explain(self.source, what, remedy="fetch it once more"))
        return values if dtype is None else values.astype(dtype, copy=False)


@dataclass(frozen=True, eq=False)
class GGUF:
    """What a file holds: metadata by key, arrays by name."""

    source: str
    metadata: Mapping[str, Any]
    tensors: Mapping[str, Packed]

    def value(self, key: str, kind: type, default: Any = None) -> Any:
        """metadata[key] of `kind`: int, float, str, bool, list (of texts) or np.ndarray.

        Errors: CheckpointError for another kind, and where it is missing without a default.
        """
        if key not in self.metadata:
            if default is None:
                raise CheckpointError(explain(self.source, f"its metadata has no {key}"))
            return default
        found = self.metadata[key]
        if type(found) is not kind:
            what = f"its {key} is a {type(found).__name__}, not {kind.__name__}"
            raise CheckpointError(explain(self.source, what))
        return found


def read_gguf(path: str | Path) -> GGUF:
    """The file's metadata and table; arrays are read from disk when they are unpacked.

    Version 2 and 3, little-endian. Errors: CheckpointError for a file that cannot be read, is cut
    off, contradicts itself, or has arrays of a type that is not in `FORMATS`.
    """
    where = str(path)
    try:
        file = UntrustedFile.at(path)
        with opened(path) as (reader, size):
            return _parsed(_Cursor(reader, size), file, where)
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        raise CheckpointError(explain(where, what)) from None
    except _DamagedError as damage:
        what = f"is damaged or no GGUF file: {damage}"
        raise CheckpointError(explain(where, what, remedy="fetch it once more")) from None


class _DamagedError(Exception):
    """What contradicts itself in a file."""


class _Cursor:
    """A place in the file, which only moves over bytes that are there."""

    def __init__(self, reader: BinaryIO, size: int) -> None:
        self.reader, self.size = reader, size
        self.at = 0

    @property
    def left(self) -> int:
        return self.size - self.at

    def take(self, count: int, what: str) -> bytes:
        place = f"at byte {self.at:,} of {self.size:,}"
        if count > self.left:
            raise _DamagedError(f"{what} of {count:,} bytes {place} goes beyond the end")
        found = self.reader.read(count)
        if len(found) != count:
            raise _DamagedError(f"{what} {place} was cut off while it was read")
        self.at += count
        return found

    def number(self, code: str, what: str) -> Any:
        """One number by its letter of `struct`."""
        form = f"<{code}"
        return struct.unpack(form, self.take(struct.calcsize(form), what))[0]

    def count(self, least: int, what: str) -> int:
        """How many things of at least `least` bytes follow."""
        found: int = self.number("Q", f"the number of {what}")
        if found * least > self.left:
            raise _DamagedError(f"{found:,} {what} do not fit into the {self.left:,} bytes left")
        return found

    def entries(self, least: int, what: str) -> int:
        found = self.count(least, what)
        if found > MOST_ENTRIES:
            raise _DamagedError(f"{found:,} {what} are more than {MOST_ENTRIES:,}")
        return found

    def text(self, what: str, longest: int | None = None) -> str:
        length = self.number("Q", f"the length of {what}")
        if longest is not None and length > longest:
            raise _DamagedError(f"{what} of {length:,} bytes is longer than {longest:,}")
        raw = self.take(length, what)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise _DamagedError(f"{what} is not UTF-8: {raw[:40]!r}") from None

    def value(self, kind: int, key: str) -> Any:
        """One value of the metadata: a number, a text, an array of numbers or a list of texts."""
        if kind == _STRING:
            return self.text(key)
        if kind != _LIST:
            return self.numbers(kind, 1, key)[0].item()
        kind = self.number("I", f"the type of {key}")
        if kind == _STRING:
            return [self.text(key) for _ in range(self.count(8, f"texts in {key}"))]
        return self.numbers(kind, self.count(1, f"numbers in {key}"), key)

    def numbers(self, kind: int, count: int, key: str) -> Array:
        if kind not in _NUMBERS:
            raise _DamagedError(f"{key} is of type {kind}, which is not known")
        dtype = np.dtype(_NUMBERS[kind])
        raw = self.take(count * dtype.itemsize, key)
        if dtype.kind == "b" and max(raw, default=0) > 1:
            raise _DamagedError(f"{key} is neither true nor false")
        return np.frombuffer(raw, dtype)


def _parsed(cursor: _Cursor, file: UntrustedFile, source: str) -> GGUF:
    magic = cursor.take(4, "the magic number")
    if magic != b"GGUF":
        raise _DamagedError(f"it starts with {magic!r}, not b'GGUF'")
    version = cursor.number("I", "the version")
    if version not in VERSIONS:
        raise _DamagedError(f"version {version:,} is not 2 or 3, little-endian")
    tensor_count = cursor.entries(LEAST_TENSOR, "arrays")
    metadata: dict[str, Any] = {}
    for _ in range(cursor.entries(LEAST_METADATA, "keys")):
        key = cursor.text("a key", LONGEST_NAME)
        if key in metadata:
            raise _DamagedError(f"key {key} is there twice")
        metadata[key] = cursor.value(cursor.number("I", f"the type of {key}"), key)
    alignment = metadata.get("general.alignment", 32)
    power = isinstance(alignment, int) and alignment > 0 and alignment & (alignment - 1) == 0
    if not power or not 8 <= alignment <= LARGEST_ALIGNMENT:
        raise _DamagedError(f"general.alignment is {alignment!r}, not a power of two from 8")
    entries = [_entry(cursor, alignment) for _ in range(tensor_count)]
    start = -(-cursor.at // alignment) * alignment
    _check_places(entries, max(file.size - start, 0))
    tensors = {
        e.name: Packed(e.name, e.shape, e.form, start + e.offset, file, source) for e in entries
    }
    return GGUF(source, metadata, tensors)


@dataclass(frozen=True)
class _Entry:
    """A row of the table of arrays; the offset counts from where the data start."""

    name: str
    shape: Shape
    form: Format
    offset: int

    @property
    def bytes(self) -> int:
        return prod(self.shape) // self.form.weights * self.form.bytes


def _entry(cursor: _Cursor, alignment: int) -> _Entry:
    name = cursor.text("the name of an array", LONGEST_NAME)
    axes = cursor.number("I", f"the number of axes of {name}")
    if not 1 <= axes <= MOST_AXES:
        raise _DamagedError(f"{name} has {axes:,} axes, not 1 to {MOST_AXES}")
    # The file has the innermost axis first.
    shape = tuple(cursor.number("Q", f"the shape of {name}") for _ in range(axes))[::-1]
    kind = cursor.number("I", f"the type of {name}")
    if kind not in FORMATS:
        known = ", ".join(f.name for f in FORMATS.values())
        raise _DamagedError(f"{name} is of type {kind}, which is none of {known}")
    form = FORMATS[kind]
    if 0 in shape or shape[-1] % form.weights:
        raise _DamagedError(f"{name} {shape} is not made of {form.name} blocks of {form.weights}")
    offset = cursor.number("Q", f"the offset of {name}")
    if offset % alignment:
        raise _DamagedError(f"{name} lies at {offset:,}, not at a multiple of {alignment}")
    return _Entry(name, shape, form, offset)


def _check_places(entries: list[_Entry], size: int) -> None:
    """Every array within the data, none twice, no two in one place."""
    for name, count in Counter(e.name for e in entries).items():
        if count > 1:
            raise _DamagedError(f"array {name} is there {count} times")
    end, before = 0, ""
    for entry in sorted(entries, key=lambda e: e.offset):
        if entry.offset < end:
            raise _DamagedError(f"{entry.name} lies inside {before}")
        end, before = entry.offset + entry.bytes, entry.name
        if end > size:
            what = f"{entry.name} {entry.shape} ends at byte {end:,} of {size:,} that there are"
            raise _DamagedError(what)
