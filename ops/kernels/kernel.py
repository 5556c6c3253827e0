"""What a kernel is: a serial compiled function of one signature over raw memory.

    @kernel("softmax.rows")
    def softmax_rows(ith, nth, operands, arena):
        rows, width = operands[2], operands[3]
        for row in range(*share(rows, ith, nth)):
            x = floats(operands[0] + 4 * row * width, width)

`operands` points to int64s: addresses, sizes, strides and float64 bits (`as_float`). `arena` is the
address of the status words. A kernel allocates nothing, raises nothing and starts no thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import carray, njit, types
from numba.extending import intrinsic

from tinygrad_tx.graph.lowering import Kernel

__all__ = [
    "BAD_INDEX",
    "EXACT",
    "FAST",
    "NOT_FINITE",
    "SIGNATURE",
    "as_float",
    "call",
    "doubles",
    "floats",
    "inline",
    "int32s",
    "int64s",
    "kernel",
    "operand_address",
    "report",
    "share",
    "uint8s",
]

SIGNATURE = types.void(types.int64, types.int64, types.CPointer(types.int64), types.int64)

# Reductions may be reordered; nnan and ninf are left out so that NaN and infinity come through.
FAST = {"contract", "reassoc", "nsz", "arcp", "afn"}
EXACT = {"contract", "nsz"}

BAD_INDEX, NOT_FINITE = 1, 2


def inline(function: Callable[..., Any]) -> Any:
    """`njit` for what kernels call: fast maths that keeps NaN and infinity, no wrappers."""
    return _compiled(function, forceinline=False)


def kernel(name: str) -> Callable[[Callable[..., None]], Kernel]:
    """Makes a Kernel of a function `(ith, nth, operands, arena)`.

    Its body is inlined into its entry by force. A body that stood by itself would be there twice in
    the process that compiles it, and the linker takes the one that was not optimised again: it may
    round otherwise than what the next process finds in the cache.
    """

    def make(function: Callable[..., None]) -> Kernel:
        return Kernel(name, _compiled(function, forceinline=True))

    return make


def _compiled(function: Callable[..., Any], forceinline: bool) -> Any:
    return njit(
        error_model="numpy", fastmath=FAST, no_cpython_wrapper=True, no_cfunc_wrapper=True,
        forceinline=forceinline,
    )(function)  # fmt: skip


def _pointer_to(element: Any, llvm_type: Any) -> Any:
    @intrinsic
    def pointer(typingctx: Any, address: Any) -> Any:
        signature = types.CPointer(element)(types.int64)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.inttoptr(args[0], llvm_type.as_pointer())

        return signature, codegen

    return pointer


_float_pointer = _pointer_to(types.float32, ir.FloatType())
_double_pointer = _pointer_to(types.float64, ir.DoubleType())
_int32_pointer = _pointer_to(types.int32, ir.IntType(32))
_int64_pointer = _pointer_to(types.int64, ir.IntType(64))
_uint8_pointer = _pointer_to(types.uint8, ir.IntType(8))


@inline
def floats(address: int, count: int) -> Any:
    """The `count` float32 at `address`, as an array."""
    return carray(_float_pointer(address), count)


@inline
def doubles(address: int, count: int) -> Any:
    return carray(_double_pointer(address), count)


@inline
def int32s(address: int, count: int) -> Any:
    return carray(_int32_pointer(address), count)


@inline
def int64s(address: int, count: int) -> Any:
    return carray(_int64_pointer(address), count)


@inline
def uint8s(address: int, count: int) -> Any:
    return carray(_uint8_pointer(address), count)


@intrinsic
def as_float(typingctx: Any, bits: Any) -> Any:
    """The float64 whose bits are the int64 `bits`: how a tape carries a number."""
    signature = types.float64(types.int64)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.DoubleType())

    return signature, codegen


@intrinsic
def call(
    typingctx: Any, address: Any, ith: Any, nth: Any, operands_address: Any, arena: Any
) -> Any:
    """Runs share `ith` of `nth` of the kernel whose compiled code is at `address`."""
    signature = types.void(*([types.int64] * 5))

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word = ir.IntType(64)
        kind = ir.FunctionType(ir.VoidType(), [word, word, word.as_pointer(), word])
        function = builder.inttoptr(args[0], kind.as_pointer())
        operands = builder.inttoptr(args[3], word.as_pointer())
        builder.call(function, [args[1], args[2], operands, args[4]])
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def operand_address(typingctx: Any, operands: Any, index: Any) -> Any:
    """The address of operand `index`: where the operands of another kernel begin."""
    signature = types.int64(operands, types.int64)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ptrtoint(builder.gep(args[0], [args[1]]), ir.IntType(64))

    return signature, codegen


@inline
def share(count: int, ith: int, nth: int) -> tuple[int, int]:
    """The range [low, high) of `count` items that is share `ith` of `nth`."""
    return count * ith // nth, count * (ith + 1) // nth


@inline
def report(arena: int, code: int, tag: int, value: int) -> None:
    """Writes (code, tag, value) to the status words; the first report stands."""
    words = int64s(arena, 3)
    if words[0] == 0:
        words[1] = tag
        words[2] = value
        words[0] = code
