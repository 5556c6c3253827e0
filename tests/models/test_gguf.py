"""The container: what it holds comes out, and whatever is wrong with it is one clear error."""

from __future__ import annotations

import struct
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from tests.models.gguf_files import BOOL, LIST, STRING, entry, file_of, text
from tinygrad_tx.errors import CheckpointError
from tinygrad_tx.models.published.gguf import GGUF, read_gguf

METADATA: dict[str, Any] = {
    "general.architecture": "llama",
    "count": 7,
    "base": 0.5,
    "is_so": True,
    "words": ["a", "注意", ""],
    "kinds": np.array([1, 3, -1]),
}
ARRAYS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.arange(64, dtype=np.float32).reshape(2, 32),
}
Q8 = np.float16(0.5).tobytes() + np.arange(-16, 16, dtype=np.int8).tobytes()
RAW = file_of(METADATA, ARRAYS, {"b": (8, Q8 * 2)})


def read(folder: Path, raw: bytes) -> GGUF:
    path = folder / "model.gguf"
    path.write_bytes(raw)
    return read_gguf(path)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("alignment", [8, 32, 4096])
def test_what_was_written_is_read(tmp_path: Path, version: int, alignment: int) -> None:
    given_too = METADATA | {"general.alignment": alignment}
    raw = file_of(given_too, ARRAYS, {"b": (8, Q8 * 2)}, version=version, alignment=alignment)
    file = read(tmp_path, raw)
    np.testing.assert_array_equal(file.metadata["kinds"], METADATA["kinds"])
    for key in METADATA.keys() - {"kinds"}:
        assert file.metadata[key] == METADATA[key]
    np.testing.assert_array_equal(np.asarray(file.tensors["a"]), ARRAYS["a"])
    np.testing.assert_array_equal(np.asarray(file.tensors["b"])[1], 0.5 * np.arange(-16, 16))


def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    # What follows the last array is padding, which nobody needs.
    for length in range(len(RAW) - 28):
        with pytest.raises(CheckpointError, match=r"model\.gguf.*fetch it once more"):
            read(tmp_path, RAW[:length])


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(0, len(RAW) - 1), st.integers(0, 7)), min_size=1, max_size=4))
def test_flipped_bits_give_a_file_or_a_clear_error(
    tmp_path: Path, flips: list[tuple[int, int]]
) -> None:
    raw = bytearray(RAW)
    for place, bit in flips:
        raw[place] ^= 1 << bit
    with suppress(CheckpointError):
        file = read(tmp_path, bytes(raw))
        total = sum(np.asarray(array).nbytes for array in file.tensors.values())
        assert total <= 4 * len(RAW)


def head(tensors: int, keys: int) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, keys)


def one_array(axes: tuple[int, ...], kind: int, offset: int) -> bytes:
    shape = struct.pack(f"<I{len(axes)}Q", len(axes), *axes)
    return head(1, 0) + text("w") + shape + struct.pack("<IQ", kind, offset) + bytes(200)


HUGE = 2**63
DAMAGED = {
    "empty": (b"", "magic"),
    "another file": (b"PK\3\4" + bytes(100), "starts with"),
    "version 1": (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
    "big-endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "little-endian"),
    "many arrays": (head(HUGE, 0), "do not fit"),
    "many keys": (head(0, HUGE) + bytes(100), "do not fit"),
    "more keys than any file has": (head(0, 100_001) + bytes(2_000_000), "more than 100,000"),
    "a long key": (head(0, 1) + struct.pack("<Q", HUGE) + bytes(100), "longer than"),
    "a long text": (
        head(0, 1) + text("k") + struct.pack("<IQ", STRING, HUGE) + bytes(99),
        "goes beyond the end",
    ),
    "a long list": (
        head(0, 1) + text("k") + struct.pack("<IIQ", LIST, 10, HUGE) + bytes(99),
        "do not fit",
    ),
    "a list as long as the file, of wide numbers": (
        head(0, 1) + text("k") + struct.pack("<IIQ", LIST, 10, 90) + bytes(99),
        "goes beyond the end",
    ),
    "a list of many texts": (
        head(0, 1) + text("k") + struct.pack("<IIQ", LIST, STRING, HUGE) + bytes(99),
        "do not fit",
    ),
    "a list of lists": (
        head(0, 1) + text("k") + struct.pack("<IIQ", LIST, LIST, 1) + bytes(99),
        "type 9",
    ),
    "an unknown kind of value": (head(0, 1) + text("k") + struct.pack("<I", 77) + bytes(9), "77"),
    "a bool of 2": (head(0, 1) + text("k") + struct.pack("<IB", BOOL, 2) + bytes(9), "neither"),
    "a text that is none": (
        head(0, 1) + text("k") + struct.pack("<IQ", STRING, 2) + b"\xff\xfe",
        "UTF-8",
    ),
    "a key twice": (head(0, 2) + entry("k", 1) * 2 + bytes(64), "twice"),
    "odd alignment": (head(0, 1) + entry("general.alignment", 24), "power of two"),
    "no alignment": (head(0, 1) + entry("general.alignment", 0), "power of two"),
    "alignment as a text": (head(0, 1) + entry("general.alignment", "32"), "power of two"),
    "no axes": (one_array((), 0, 0), "0 axes"),
    "five axes": (one_array((1,) * 5, 0, 0), "5 axes"),
    "an empty axis": (one_array((0, 4), 0, 0), "not made of"),
    "half a block": (one_array((48, 2), 2, 0), "blocks of 32"),
    "an unknown format": (one_array((4,), 99, 0), "type 99"),
    "a huge array": (one_array((HUGE, HUGE, 32), 2, 0), "ends at byte"),
    "sizes whose product is 2**64": (one_array((2**32, 2**32), 0, 0), "ends at byte"),
    "an array beyond the end": (one_array((8,), 0, 320), "ends at byte"),
    "a huge offset": (one_array((8,), 0, HUGE), "ends at byte"),
    "an offset between": (one_array((4,), 0, 4), "multiple of 32"),
    "one array in another": (file_of({}, ARRAYS, offsets=[0, 0]), "lies inside"),
    "an array twice": (
        file_of({}, {"a": ARRAYS["a"], "b": ARRAYS["a"]}).replace(text("b"), text("a")),
        "2 times",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_named_before_any_memory_is_taken(tmp_path: Path, name: str) -> None:
    raw, message = DAMAGED[name]
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match=message):
            read(tmp_path, raw)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_weights_that_are_not_finite_are_named(tmp_path: Path) -> None:
    infinite = np.float16(np.inf).tobytes() + bytes(32)
    file = read(tmp_path, file_of({}, {"b": ARRAYS["b"]}, {"b": (8, infinite * 2)}))
    with pytest.raises(CheckpointError, match="b holds weights that are not finite"):
        np.asarray(file.tensors["b"])


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_gguf(tmp_path / "none.gguf")
