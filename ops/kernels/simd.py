"""Vectors: the width of this machine, and the intrinsics that kernels build on.

LANES is the number of float32 in a vector register: 16 with AVX-512, 8 with AVX, else 4.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["HAS_FMA", "LANES", "VECTOR", "Emitter", "address_of_array", "copy_lanes", "transpose"]


def _features() -> set[str]:
    """Names of the CPU features that Numba compiles for."""
    if os.environ.get("NUMBA_CPU_NAME") == "generic":
        return set()
    given = os.environ.get("NUMBA_CPU_FEATURES")
    text = given if given is not None else binding.get_host_cpu_features().flatten()
    return {part[1:] for part in text.split(",") if part.startswith("+")}


_found = _features()
LANES = 16 if "avx512f" in _found else 8 if "avx" in _found else 4
HAS_FMA = "fma" in _found or "avx512f" in _found

FLOAT, WORD, LONG = ir.FloatType(), ir.IntType(32), ir.IntType(64)
VECTOR = ir.VectorType(FLOAT, LANES)
ZERO = ir.Constant(VECTOR, [0.0] * LANES)


class Emitter:
    """Writes vector instructions into the function that an intrinsic is compiled into."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def long(self, value: int) -> Any:
        return ir.Constant(LONG, value)

    def load(self, address: Any, lane: int = 0) -> Any:
        """The vector at `address`, `lane` floats further on."""
        b = self.builder
        at = b.add(address, self.long(4 * lane)) if lane else address
        value = b.load(b.inttoptr(at, VECTOR.as_pointer()))
        value.align = 4
        return value

    def store(self, value: Any, address: Any, lane: int = 0) -> None:
        b = self.builder
        at = b.add(address, self.long(4 * lane)) if lane else address
        b.store(value, b.inttoptr(at, VECTOR.as_pointer())).align = 4

    def splat(self, address: Any) -> Any:
        """The one float at `address` in every lane."""
        b = self.builder
        one = b.load(b.inttoptr(address, FLOAT.as_pointer()))
        one.align = 4
        undefined = ir.Constant(VECTOR, ir.Undefined)
        first = b.insert_element(undefined, one, ir.Constant(WORD, 0))
        mask = ir.Constant(ir.VectorType(WORD, LANES), [0] * LANES)
        return b.shuffle_vector(first, undefined, mask)

    def multiply_add(self, x: Any, y: Any, z: Any) -> Any:
        """x * y + z: one instruction where the CPU has it."""
        b = self.builder
        if not HAS_FMA:
            return b.fadd(b.fmul(x, y), z)
        kind = ir.FunctionType(VECTOR, [VECTOR] * 3)
        # declare_intrinsic refuses vector types, so the function is inserted by its name.
        function = cgutils.get_or_insert_function(b.module, kind, f"llvm.fma.v{LANES}f32")
        return b.call(function, [x, y, z])


@intrinsic
def transpose(typingctx: Any, source: Any, source_step: Any, target: Any, target_step: Any) -> Any:
    """LANES rows of LANES floats, `source_step` bytes apart, to the columns of the target's rows.

    Squares of 1, 2, 4, ... lanes change places with those across the diagonal.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emitter = Emitter(builder)
        source, source_step, target, target_step = args
        rows = []
        for _ in range(LANES):
            rows.append(emitter.load(source))
            source = builder.add(source, source_step)
        size = 1
        while size < LANES:
            lanes = range(LANES)
            upper = [j + LANES - size if j & size else j for j in lanes]
            lower = [j + LANES if j & size else j + size for j in lanes]
            masks = [ir.Constant(ir.VectorType(WORD, LANES), m) for m in (upper, lower)]
            for i in lanes:
                if not i & size:
                    pair = rows[i], rows[i + size]
                    rows[i], rows[i + size] = (builder.shuffle_vector(*pair, m) for m in masks)
            size *= 2
        for row in rows:
            emitter.store(row, target)
            target = builder.add(target, target_step)
        return context.get_dummy_value()

    return types.void(*([types.int64] * 4)), codegen


@intrinsic
def address_of_array(typingctx: Any, array: Any) -> Any:
    """Address of an array's first element."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.ptrtoint(data, LONG)

    return types.int64(array), codegen


def copy_lanes(count: int) -> Callable[..., Any]:
    """An intrinsic copy(target, source) of `count` floats, as whole vectors."""
    kind = ir.VectorType(FLOAT, count)

    @intrinsic
    def copy(typingctx: Any, target: Any, source: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            value = builder.load(builder.inttoptr(args[1], kind.as_pointer()))
            value.align = 4
            builder.store(value, builder.inttoptr(args[0], kind.as_pointer())).align = 4
            return context.get_dummy_value()

        return types.void(types.int64, types.int64), codegen

    result: Callable[..., Any] = copy
    return result
