"""Block formats of GGUF: weights stored as small integers with a scale for each block.

A format unpacks rows of bytes, (blocks, bytes of one), into float32, (blocks, weights of one). The
layouts are those of ggml's reference (ggml-common.h); numbers are little-endian, `d` is a scale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["FORMATS", "Format", "unpacked"]

Array = np.ndarray[Any, Any]
BLOCKS_AT_ONCE = 4096  # temporaries stay within a few megabytes, whatever the array


@dataclass(frozen=True)
class Format:
    """`weights` of them take `bytes`; `unpack` gives them in float32."""

    name: str
    weights: int
    bytes: int
    unpack: Callable[[Array], Array]


def unpacked(form: Format, raw: Array) -> Array:
    """All weights of whole blocks. Shapes: raw (blocks x bytes,) uint8 -> (blocks x weights,)."""
    blocks = raw.reshape(-1, form.bytes)
    out = np.empty((len(blocks), form.weights), np.float32)
    # A damaged scale may be infinite: the reader sees that in the result and says so.
    with np.errstate(invalid="ignore", over="ignore"):
        for start in range(0, len(blocks), BLOCKS_AT_ONCE):
            part = slice(start, start + BLOCKS_AT_ONCE)
            out[part] = form.unpack(blocks[part])
    return out.reshape(-1)


def _float16(blocks: Array, at: int) -> Array:
    """The float16 at byte `at` of each block: (blocks, 1)."""
    return np.ascontiguousarray(blocks[:, at : at + 2]).view("<f2").astype(np.float32)


def _nibbles(packed: Array) -> Array:
    """Low halves of all bytes, then high halves. Shapes: (blocks, n) -> (blocks, 2 n)."""
    return np.concatenate([packed & 15, packed >> 4], axis=-1)


def _shifted(packed: Array, shifts: tuple[int, ...], mask: int) -> Array:
    """The same bytes at each shift. Shapes: (..., n) -> (..., shifts, n)."""
    return packed[..., None, :] >> np.array(shifts, np.uint8)[:, None] & np.uint8(mask)


def _floats(dtype: str) -> Callable[[Array], Array]:
    return lambda blocks: np.ascontiguousarray(blocks).view(dtype).astype(np.float32)


def _bf16(blocks: Array) -> Array:
    """The upper half of a float32."""
    return (np.ascontiguousarray(blocks).view("<u2").astype(np.uint32) << 16).view(np.float32)


def _q4_0(blocks: Array) -> Array:
    """d, 16 bytes: w = d (q - 8)."""
    return _float16(blocks, 0) * (_nibbles(blocks[:, 2:]).astype(np.float32) - 8)


def _q4_1(blocks: Array) -> Array:
    """d, least m, 16 bytes: w = d q + m."""
    return _float16(blocks, 0) * _nibbles(blocks[:, 4:]) + _float16(blocks, 2)


def _fifth_bits(packed: Array) -> Array:
    """32 bits, one for each weight, moved to the fifth place. (blocks, 4) -> (blocks, 32)."""
    return np.unpackbits(packed, axis=-1, bitorder="little") << np.uint8(4)


def _q5_0(blocks: Array) -> Array:
    """d, fifth bits, 16 bytes: w = d (q - 16)."""
    q = _nibbles(blocks[:, 6:]) | _fifth_bits(blocks[:, 2:6])
    return _float16(blocks, 0) * (q.astype(np.float32) - 16)


def _q5_1(blocks: Array) -> Array:
    """d, least m, fifth bits, 16 bytes: w = d q + m."""
    q = _nibbles(blocks[:, 8:]) | _fifth_bits(blocks[:, 4:8])
    return _float16(blocks, 0) * q + _float16(blocks, 2)


def _q8_0(blocks: Array) -> Array:
    """d, 32 signed bytes: w = d q."""
    return _float16(blocks, 0) * blocks[:, 2:].view(np.int8)


# The k-quants: 256 weights in groups of 16 or 32, each group with a small scale of its own.


def _scaled(d: Array, q: Array) -> Array:
    """Groups of 16. Shapes: d (blocks, 16), q (blocks, 256) -> like q."""
    weights: Array = d[..., None] * q.reshape(-1, 16, 16)
    return weights.reshape(-1, 256)


def _q2_k(blocks: Array) -> Array:
    """16 bytes of scale (low half) and least (high half), 64 bytes of twos, d, d of the least."""
    scales = blocks[:, :16, None]
    d, least = _float16(blocks, 80)[..., None], _float16(blocks, 82)[..., None]
    q = _shifted(blocks[:, 16:80].reshape(-1, 2, 32), (0, 2, 4, 6), 3).reshape(-1, 16, 16)
    weights: Array = (d * (scales & 15)) * q - least * (scales >> 4)
    return weights.reshape(-1, 256)


def _q3_k(blocks: Array) -> Array:
    """32 bytes of third bits, 64 bytes of twos, 16 scales of six bits in 12 bytes, d."""
    thirds = _shifted(blocks[:, None, :32], tuple(range(8)), 1).reshape(-1, 256)
    twos = _shifted(blocks[:, 32:96].reshape(-1, 2, 32), (0, 2, 4, 6), 3).reshape(-1, 256)
    q = twos.astype(np.float32) - 4 * (1 - thirds.astype(np.float32))
    high = _shifted(blocks[:, 104:108], (0, 2, 4, 6), 3).reshape(-1, 16)
    scales = (_nibbles(blocks[:, 96:104]) | high << np.uint8(4)).astype(np.float32) - 32
    d = _float16(blocks, 108) * scales
    return _scaled(d, q)


def _scales_and_leasts(packed: Array) -> tuple[Array, Array]:
    """Eight of each, of six bits, in 12 bytes (get_scale_min_k4). (blocks, 8) twice."""
    first, second, third = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    scales = np.concatenate([first & 63, third & 15 | (first >> 6) << np.uint8(4)], -1)
    leasts = np.concatenate([second & 63, third >> 4 | (second >> 6) << np.uint8(4)], -1)
    return scales, leasts


def _with_scales(blocks: Array, q: Array) -> Array:
    """w = d scale q - d' least, for q (blocks, 8, 32)."""
    scales, leasts = _scales_and_leasts(blocks[:, 4:16])
    d, least = _float16(blocks, 0) * scales, _float16(blocks, 2) * leasts
    weights: Array = d[..., None] * q - least[..., None]
    return weights.reshape(-1, 256)


def _q4_k(blocks: Array) -> Array:
    """d, d of the least, 12 bytes of scales, 128 bytes of fours."""
    q = _shifted(blocks[:, 16:].reshape(-1, 4, 32), (0, 4), 15)
    return _with_scales(blocks, q.reshape(-1, 8, 32))


def _q5_k(blocks: Array) -> Array:
    """d, d of the least, 12 bytes of scales, 32 bytes of fifth bits, 128 bytes of fours."""
    fours = _shifted(blocks[:, 48:].reshape(-1, 4, 32), (0, 4), 15).reshape(-1, 8, 32)
    fifths = _shifted(blocks[:, None, 16:48], tuple(range(8)), 1).reshape(-1, 8, 32)
    return _with_scales(blocks, fours | fifths << np.uint8(4))


def _q6_k(blocks: Array) -> Array:
    """128 bytes of fours, 64 of twos above them, 16 signed scales, d: w = d scale (q - 32)."""
    fours = _shifted(blocks[:, :128].reshape(-1, 2, 64), (0, 4), 15).reshape(-1, 256)
    twos = _shifted(blocks[:, 128:192].reshape(-1, 2, 32), (0, 2, 4, 6), 3).reshape(-1, 256)
    q = (fours | twos << np.uint8(4)).astype(np.float32) - 32
    d = _float16(blocks, 208) * blocks[:, 192:208].view(np.int8)
    return _scaled(d, q)


FORMATS: Mapping[int, Format] = {
    0: Format("F32", 1, 4, _floats("<f4")),
    1: Format("F16", 1, 2, _floats("<f2")),
    2: Format("Q4_0", 32, 18, _q4_0),
    3: Format("Q4_1", 32, 20, _q4_1),
    6: Format("Q5_0", 32, 22, _q5_0),
    7: Format("Q5_1", 32, 24, _q5_1),
    8: Format("Q8_0", 32, 34, _q8_0),
    10: Format("Q2_K", 256, 84, _q2_k),
    11: Format("Q3_K", 256, 110, _q3_k),
    12: Format("Q4_K", 256, 144, _q4_k),
    13: Format("Q5_K", 256, 176, _q5_k),
    14: Format("Q6_K", 256, 210, _q6_k),
    30: Format("BF16", 1, 2, _bf16),
}
"""By the number that a file has for it (ggml_type)."""
