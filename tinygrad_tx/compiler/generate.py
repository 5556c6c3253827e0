"""Source of the kernel of a fused node: ordinary Python, which runs un-jitted as well.

One text serves every size. It depends on the operations, the element types and, for each operand,
on how it moves along the inner loop: "unit" steps, a "scalar" that stays, any other "strided" step,
or a "constant" that comes with the operands.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from tinygrad_tx.compiler.fuse import Body
from tinygrad_tx.compiler.names import expression, local, shown
from tinygrad_tx.dtypes import DType, bool_, float32, float64, int32, int64
from tinygrad_tx.graph.lowering import Kernel

__all__ = ["Motion", "Port", "fused_kernel"]

PIECE = 4096

Motion = Literal["unit", "scalar", "strided", "constant"]


@dataclass(frozen=True, slots=True)
class Port:
    """An operand of a fused kernel: its element type and how it moves along the inner loop.

    A result that overwrites input `alias` uses that input's array, so that LLVM sees one pointer
    and vectorises the loop.
    """

    dtype: DType
    motion: Motion
    alias: int = -1


_ARRAYS = {
    float32: "floats",
    float64: "doubles",
    int32: "int32s",
    int64: "int64s",
    bool_: "uint8s",
}
_CASTS = {float32: "np.float32", float64: "np.float64", int32: "np.int32", int64: "np.int64"}

_HEADER = '''"""{title}"""

import numpy as np
from numpy import sqrt

from tinygrad_tx.ops.kernels.kernel import as_float, doubles, floats, int32s, int64s, share, uint8s
from tinygrad_tx.ops.kernels.vecmath import *


def entry(ith, nth, operands, arena):
'''


@lru_cache(maxsize=4096)
def fused_kernel(
    body: Body, ports: tuple[Port, ...], is_flat: bool, is_sum: bool = False
) -> Kernel:
    """The kernel of `body`. `ports`: the inputs, then the results.

    Operands, flat: (length, then for each port the address and, if strided, its step in bytes; a
    constant is its value). Not flat: (length, rows, size of the middle axis, size of the last outer
    axis), then for each port address, three outer strides in bytes and the inner one if strided.
    is_sum: each share leaves the sum of its one result; `ports` are the inputs, and behind their
    operands comes the address of one float for each share.
    """
    text = _text(body, ports, is_flat, is_sum)
    title = " ".join([line.op.name for line in body.lines] + ["sum"] * is_sum)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    title = shown(title if len(title) < 60 else title[:57] + "...")
    return Kernel(f"fused_{digest}", source=_HEADER.format(title=title) + text)


def _text(body: Body, ports: Sequence[Port], is_flat: bool, is_sum: bool) -> str:
    lines = ["n = operands[0]"]
    before = [f"total = {_CASTS[body.avals[0].dtype]}(0)"] if is_sum else []
    loop = _summed(body, ports) if is_sum else _loop(body, ports)
    after = [f"floats(operands[{_slots(ports, is_flat)[-1]}], nth)[ith] = total"] if is_sum else []
    if is_flat:
        lines += ["low, high = share(n, ith, nth)", "m = high - low"]
        lines += [*_opened(ports, is_flat), *before, *loop, *after]
        return "\n".join("    " + line for line in lines) + "\n"
    lines += ["m = n", "low, high = share(operands[1], ith, nth)"]
    lines += [f"{local('c', i)} = {c}" for i, c in _constants(ports, is_flat)]
    lines += [
        *before,
        "i2 = low % operands[3]",
        "i1 = low // operands[3] % operands[2]",
        "i0 = low // operands[3] // operands[2]",
        "for _ in range(low, high):",
    ]
    inner = [
        *_opened(ports, is_flat, constants=False),
        *loop,
        "i2 += 1",
        "if i2 == operands[3]:",
        "    i2, i1 = 0, i1 + 1",
        "    if i1 == operands[2]:",
        "        i1, i0 = 0, i0 + 1",
    ]
    text = ["    " + x for x in lines] + ["        " + x for x in inner]
    return "\n".join(text + ["    " + x for x in after]) + "\n"


def _slots(ports: Sequence[Port], is_flat: bool) -> list[int]:
    """Where each port begins among the operands, and where they end."""
    slots, at = [], 1 if is_flat else 4
    for port in ports:
        slots.append(at)
        if port.motion == "constant":
            at += 1
        else:
            at += (1 if is_flat else 4) + (port.motion == "strided")
    return [*slots, at]


def _constants(ports: Sequence[Port], is_flat: bool) -> list[tuple[int, str]]:
    found = []
    for i, (port, at) in enumerate(zip(ports, _slots(ports, is_flat), strict=False)):
        if port.motion == "constant":
            if port.dtype == bool_:
                text = f"operands[{at}] != 0"
            elif port.dtype.kind == "f":
                text = f"{_CASTS[port.dtype]}(as_float(operands[{at}]))"
            else:
                text = f"{_CASTS[port.dtype]}(operands[{at}])"
            found.append((i, text))
    return found


def _opened(ports: Sequence[Port], is_flat: bool, constants: bool = True) -> list[str]:
    """Lines that open each operand as an array over the inner loop, or read its one value."""
    lines = [f"{local('c', i)} = {c}" for i, c in _constants(ports, is_flat)] if constants else []
    for i, (port, at) in enumerate(zip(ports, _slots(ports, is_flat), strict=False)):
        if port.motion == "constant" or port.alias >= 0:
            continue
        size, opener = port.dtype.itemsize, _ARRAYS[port.dtype]
        address = f"operands[{at}]"
        if is_flat and port.motion == "unit":
            address += f" + {size} * low"
        elif is_flat and port.motion == "strided":
            address += f" + low * operands[{at + 1}]"
        elif not is_flat:
            steps = (f"i{k} * operands[{at + 1 + k}]" for k in range(3))
            address += " + " + " + ".join(steps)
        if port.motion == "unit":
            lines.append(f"{local('p', i)} = {opener}({address}, m)")
        elif port.motion == "scalar":
            read = f"{opener}({address}, 1)[0]"
            lines.append(f"{local('c', i)} = {read}" + " != 0" * (port.dtype == bool_))
        else:
            lines.append(f"{local('a', i)} = {address}")
            lines.append(f"{local('s', i)} = operands[{at + (1 if is_flat else 4)}]")
    return lines


def _loop(body: Body, ports: Sequence[Port]) -> list[str]:
    count = len(ports) - len(body.results)
    lines = ["for j in range(m):", *_values(body, ports[:count])]
    for i, (port, result) in enumerate(zip(ports[count:], body.results, strict=True), count):
        home = port.alias if port.alias >= 0 else i
        target = f"{local('p', home)}[j]" if port.motion == "unit" else _strided(home, port)
        lines.append(f"    {target} = {local('t', result)}")
    return lines


def _summed(body: Body, ports: Sequence[Port]) -> list[str]:
    """Adds to `total` piece by piece: the error grows with the pieces and not the elements."""
    values = _values(body, ports)
    return [
        f"for begin in range(0, m, {PIECE}):",
        f"    part = {_CASTS[body.avals[0].dtype]}(0)",
        f"    for j in range(begin, min(m, begin + {PIECE})):",
        *("    " + line for line in values),
        f"        part += {local('t', body.results[0])}",
        "    total += part",
    ]


def _values(body: Body, ports: Sequence[Port]) -> list[str]:
    """Lines that compute every line of the body for element j; `ports` are the inputs."""
    lines, names = [], []
    for i, port in enumerate(ports):
        if port.motion in ("constant", "scalar"):
            names.append(local("c", i))
            continue
        read = f"{local('p', i)}[j]" if port.motion == "unit" else _strided(i, port)
        names.append(local("x", i))
        lines.append(f"    {names[-1]} = {read}" + " != 0" * (port.dtype == bool_))
    for k, line in enumerate(body.lines):
        text = line.op.emit(line.dtype, *(names[a] for a in line.args), **dict(line.attrs))  # type: ignore[misc]  # elementwise: emit is there
        names.append(local("t", k))
        lines.append(f"    {names[-1]} = {expression(text)}")
    return lines


def _strided(i: int, port: Port) -> str:
    return f"{_ARRAYS[port.dtype]}({local('a', i)} + j * {local('s', i)}, 1)[0]"
