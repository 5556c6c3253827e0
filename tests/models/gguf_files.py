"""Small GGUF files, written by the book (ggml/docs/gguf.md), for the tests that read them."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
U32, FLOAT, BOOL, STRING, LIST = 4, 6, 7, 8, 9


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def entry(key: str, value: Any) -> bytes:
    """A key with its type and value."""
    if isinstance(value, bool):
        return text(key) + struct.pack("<IB", BOOL, value)
    if isinstance(value, int):
        return text(key) + struct.pack("<II", U32, value)
    if isinstance(value, float):
        return text(key) + struct.pack("<If", FLOAT, value)
    if isinstance(value, str):
        return text(key) + struct.pack("<I", STRING) + text(value)
    head = text(key) + struct.pack("<I", LIST)
    if isinstance(value, np.ndarray):
        return head + struct.pack("<IQ", 5, len(value)) + value.astype("<i4").tobytes()
    return head + struct.pack("<IQ", STRING, len(value)) + b"".join(map(text, value))


def file_of(
    metadata: Mapping[str, Any],
    arrays: Mapping[str, Array],
    kinds: Mapping[str, tuple[int, bytes]] | None = None,
    *,
    version: int = 3,
    alignment: int = 32,
    offsets: Sequence[int] | None = None,
) -> bytes:
    """A file of float32 `arrays`. kinds: for some a type, and the bytes that stand for them."""
    table, data = b"", b""
    for i, (name, array) in enumerate(arrays.items()):
        kind, raw = (kinds or {}).get(name, (0, array.astype("<f4").tobytes()))
        shape = struct.pack(f"<{array.ndim}Q", *array.shape[::-1])
        offset = len(data) if offsets is None else offsets[i]
        table += text(name) + struct.pack("<I", array.ndim) + shape
        table += struct.pack("<IQ", kind, offset)
        data += raw + bytes(-len(raw) % alignment)
    head = b"GGUF" + struct.pack("<IQQ", version, len(arrays), len(metadata))
    head += b"".join(entry(k, v) for k, v in metadata.items()) + table
    return head + bytes(-len(head) % alignment) + data
