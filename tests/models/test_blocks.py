"""Block formats: blocks worked out by hand, and the `gguf` package."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinygrad_tx.models.published.blocks import BLOCKS_AT_ONCE, FORMATS, unpacked

BY_NAME = {form.name: (number, form) for number, form in FORMATS.items()}
HALF = np.float16(0.5).tobytes()
TWO = np.float16(2.0).tobytes()
# Byte i holds i in its low half and 15 - i in its high half.
NIBBLES = bytes(i | (15 - i) << 4 for i in range(16))
LOW, HIGH = np.arange(16.0), 15 - np.arange(16.0)
Q = np.concatenate([LOW, HIGH])


@pytest.mark.parametrize(
    ("name", "raw", "weights"),
    [
        ("F32", np.float32([1.5, -2]).tobytes(), [1.5, -2]),
        ("F16", np.float16([1.5, -2]).tobytes(), [1.5, -2]),
        ("BF16", bytes([0xC0, 0x3F, 0x00, 0xC0]), [1.5, -2]),
        ("Q4_0", HALF + NIBBLES, 0.5 * (Q - 8)),
        ("Q4_1", HALF + TWO + NIBBLES, 0.5 * Q + 2),
        # Fifth bits of weights 0 and 31.
        (
            "Q5_0",
            HALF + bytes([1, 0, 0, 128]) + NIBBLES,
            0.5 * (Q - 16 + 16 * np.eye(32)[[0, 31]].sum(0)),
        ),
        (
            "Q5_1",
            HALF + TWO + bytes([1, 0, 0, 128]) + NIBBLES,
            0.5 * (Q + 16 * np.eye(32)[[0, 31]].sum(0)) + 2,
        ),
        ("Q8_0", HALF + np.arange(-16, 16, dtype=np.int8).tobytes(), 0.5 * np.arange(-16, 16)),
        # Scale 3 and least 1 for all groups; q = 2 everywhere.
        ("Q2_K", bytes([0x13] * 16 + [0xAA] * 64) + HALF + TWO, np.full(256, 0.5 * 3 * 2 - 2)),
        # All third bits set: q = 2; scale 32 + 1 - 32.
        (
            "Q3_K",
            bytes([255] * 32 + [0xAA] * 64 + [0x11] * 8 + [0xAA] * 4) + HALF,
            np.full(256, 1.0),
        ),
        (
            "Q4_K",
            HALF + TWO + bytes([3] * 4 + [1] * 4 + [0x13] * 4 + [0x77] * 128),
            np.full(256, 0.5 * 3 * 7 - 2),
        ),
        (
            "Q5_K",
            HALF + TWO + bytes([3] * 4 + [1] * 4 + [0x13] * 4 + [1] * 32 + [0x77] * 128),
            np.where(np.arange(256) < 32, 0.5 * 3 * 23 - 2, 0.5 * 3 * 7 - 2),
        ),
        # q = 7 + 16 x 2 - 32 = 7, scale -3.
        ("Q6_K", bytes([0x77] * 128 + [0xAA] * 64 + [253] * 16) + HALF, np.full(256, -10.5)),
    ],
)
def test_blocks_by_hand(name: str, raw: bytes, weights: Any) -> None:
    found = unpacked(BY_NAME[name][1], np.frombuffer(raw, np.uint8))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, weights)


def test_every_format_is_worked_out_by_hand() -> None:
    (mark,) = [m for m in test_blocks_by_hand.pytestmark if m.name == "parametrize"]
    assert {row[0] for row in mark.args[1]} == BY_NAME.keys()


@pytest.mark.parity
@pytest.mark.parametrize("name", BY_NAME)
def test_random_blocks_agree_with_the_gguf_package(name: str) -> None:
    gguf = pytest.importorskip("gguf")
    number, form = BY_NAME[name]
    kind = gguf.GGMLQuantizationType(number)
    assert (kind.name, gguf.GGML_QUANT_SIZES[kind]) == (name, (form.weights, form.bytes))
    raw = np.random.default_rng(0).integers(0, 256, (BLOCKS_AT_ONCE + 3, form.bytes), np.uint8)
    with np.errstate(all="ignore"):
        theirs = gguf.dequantize(raw, kind).reshape(-1)
    ours = unpacked(form, raw.reshape(-1))
    finite = np.isfinite(theirs)
    assert finite.mean() > 0.9
    np.testing.assert_array_equal(np.isfinite(ours), finite)
    np.testing.assert_array_equal(ours[finite], theirs[finite])
