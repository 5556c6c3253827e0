"""random_uniform: numbers drawn evenly from [0, 1), a pure function of seed and counter.

Maths: block i = Philox4x32-10(counter + offset + i, seed) gives four float32 of 24 random bits or
two float64 of 53. Shapes: seed and counter 0-d int64 -> `shape`. No gradient.
Source: Salmon et al. 2011, section 4.3. Cost: 5 integer products a float32. Errors: DTypeError.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import DType, float32, float64, int64, is_float
from tinygrad_tx.errors import DTypeError, Rejected, ShapeError
from tinygrad_tx.graph.lowering import Lowering, shares_of
from tinygrad_tx.graph.node import Aval, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.kernels.kernel import doubles, floats, inline, int64s, kernel, share
from tinygrad_tx.ops.kernels.philox import WORD, philox, rounds
from tinygrad_tx.shapes import Shape, size_of

Array = np.ndarray[Any, Any]

BLOCKS_OF_A_SHARE = 4096  # about 8 µs
_ZERO, _EIGHT, _ELEVEN, _HALF = (np.uint64(n) for n in (0, 8, 11, 32))


def infer(seed: Aval, counter: Aval, shape: Shape, dtype: DType, offset: int) -> Aval:
    del offset
    for state in (seed, counter):
        if state.shape or state.dtype != int64:
            raise Rejected(
                ShapeError, f"seed and counter must be int64[], got {seed} and {counter}"
            )
    if not is_float(dtype):
        raise Rejected(DTypeError, f"draws floating-point numbers, not {dtype}", "use tx.randint")
    return Aval(shape, dtype)


def blocks_of(shape: Shape, dtype: DType) -> int:
    """How far one draw moves the counter."""
    return -(-size_of(shape) * dtype.itemsize // 16)


def reference(seed: Array, counter: Array, shape: Shape, dtype: DType, offset: int) -> Array:
    count = blocks_of(shape, dtype)
    key, start = seed.astype(np.uint64), counter.astype(np.uint64)
    at: Array = start + np.uint64(offset) + np.arange(count, dtype=np.uint64)
    zero = np.zeros_like(at)
    words = philox(at & WORD, at >> _HALF, zero, zero, key & WORD, key >> _HALF)
    if dtype == float32:
        numbers = np.stack([(w >> np.uint64(8)) * 2.0**-24 for w in words], -1)
    else:
        pairs = (words[0] | words[1] << _HALF, words[2] | words[3] << _HALF)
        numbers = np.stack([(p >> np.uint64(11)) * 2.0**-53 for p in pairs], -1)
    return numbers.reshape(-1)[: size_of(shape)].astype(dtype).reshape(shape)


@inline
def _unit(word: Any) -> Any:
    return np.float32(np.int32(word >> _EIGHT)) * np.float32(2.0**-24)


@kernel("random_uniform.single")
def run_single(ith: int, nth: int, operands: Any, arena: int) -> None:
    """Four numbers a block. Operands: count, blocks, offset, seed, counter, z."""
    count = operands[0]
    key = np.uint64(int64s(operands[3], 1)[0])
    k0, k1 = key & WORD, key >> _HALF
    low, high = share(operands[1], ith, nth)
    whole = min(high, count // 4) - low
    start = np.uint64(int64s(operands[4], 1)[0]) + np.uint64(operands[2]) + np.uint64(low)
    z = floats(operands[5] + 16 * low, count - 4 * low)
    for i in range(whole):
        at = start + np.uint64(i)
        a, b, c, d = rounds(at & WORD, at >> _HALF, _ZERO, _ZERO, k0, k1)
        z[4 * i] = _unit(a)
        z[4 * i + 1] = _unit(b)
        z[4 * i + 2] = _unit(c)
        z[4 * i + 3] = _unit(d)
    if whole < high - low:
        at = start + np.uint64(whole)
        a, b, c, d = rounds(at & WORD, at >> _HALF, _ZERO, _ZERO, k0, k1)
        z[4 * whole] = _unit(a)
        if count % 4 > 1:
            z[4 * whole + 1] = _unit(b)
        if count % 4 > 2:
            z[4 * whole + 2] = _unit(c)


@kernel("random_uniform.double")
def run_double(ith: int, nth: int, operands: Any, arena: int) -> None:
    """Two numbers a block. Operands: count, blocks, offset, seed, counter, z."""
    count = operands[0]
    key = np.uint64(int64s(operands[3], 1)[0])
    k0, k1 = key & WORD, key >> _HALF
    low, high = share(operands[1], ith, nth)
    whole = min(high, count // 2) - low
    start = np.uint64(int64s(operands[4], 1)[0]) + np.uint64(operands[2]) + np.uint64(low)
    z = doubles(operands[5] + 16 * low, count - 2 * low)
    for i in range(whole):
        at = start + np.uint64(i)
        a, b, c, d = rounds(at & WORD, at >> _HALF, _ZERO, _ZERO, k0, k1)
        z[2 * i] = np.float64(np.int64((a | b << _HALF) >> _ELEVEN)) * 2.0**-53
        z[2 * i + 1] = np.float64(np.int64((c | d << _HALF) >> _ELEVEN)) * 2.0**-53
    if whole < high - low:
        at = start + np.uint64(whole)
        a, b, c, d = rounds(at & WORD, at >> _HALF, _ZERO, _ZERO, k0, k1)
        z[2 * whole] = np.float64(np.int64((a | b << _HALF) >> _ELEVEN)) * 2.0**-53


def fits(node: Node) -> bool:
    return node.dtype in (float32, float64)


def lower(lowering: Lowering, node: Node) -> None:
    (seed, counter), (z,) = lowering.reads, lowering.writes
    blocks = blocks_of(z.shape, z.dtype)
    shares = shares_of(blocks, BLOCKS_OF_A_SHARE)
    run = run_single if z.dtype == float32 else run_double
    if z.size:
        lowering.call(run, z.size, blocks, node.attrs["offset"], seed, counter, z, shares=shares)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((), (7,), (2, 4), (0, 3)):
        for dtype, offset in ((float32, 0), (float64, 5)):
            state = rng.integers(-(2**62), 2**62, size=2)
            attrs = {"shape": shape, "dtype": dtype, "offset": offset}
            yield Sample((state[0], state[1]), attrs)


register(
    Operator(
        "random_uniform",
        infer=infer,
        reference=reference,
        lower=lower,
        fits=fits,
        row=TestRow(samples, tolerance=0.0),
        formula="u ~ [0, 1)",
    )
)
