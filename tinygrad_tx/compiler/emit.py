"""Steps for fused nodes, copies and fills: strides collapsed, ports chosen, shares counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tinygrad_tx.compiler.fuse import Body, Line
from tinygrad_tx.compiler.generate import Motion, Port, fused_kernel
from tinygrad_tx.compiler.program import ArrayStep, KernelStep
from tinygrad_tx.graph.lowering import Call, Operand, View, shares_of
from tinygrad_tx.graph.node import Aval, Operator
from tinygrad_tx.ops.kernels.rowwise import add_blocks
from tinygrad_tx.shapes import Shape, size_of

__all__ = ["Constant", "array_copy", "fused_rows", "fused_steps", "kernel_copy", "summed_steps"]

WORK_OF_A_SHARE = 32768  # elements times operations: about 5 µs, well above what a fork costs

_COPY = Operator("copy", infer=lambda x: x, emit=lambda dtype, x: x)


@dataclass(frozen=True, slots=True)
class Constant:
    """An input whose one value comes with the operands."""

    value: bool | int | float
    aval: Aval


def fused_steps(
    body: Body, reads: Sequence[View | Constant], writes: Sequence[View], label: str
) -> list[KernelStep]:
    """The kernel rows of a fused node; none for size 0, several only beyond four axes."""
    views = [v for v in (*reads, *writes) if isinstance(v, View)]
    if writes[0].size == 0:
        return []
    shape, strides = _collapsed(writes[0].shape, [v.strides for v in views])
    if len(shape) > 4:
        return _by_first_axis(body, reads, writes, label)
    size = writes[0].size
    call = _call(body, reads, writes, shape, strides, is_flat=len(shape) < 2, size=size)
    return [KernelStep(call.kernel, call.shares, call.operands, label)]


def summed_steps(
    body: Body,
    reads: Sequence[View | Constant],
    target: View,
    workspace: Callable[[int], View],
    label: str,
) -> list[KernelStep]:
    """The rows of a fused node of at most four axes all of whose elements are added."""
    shape = body.avals[0].shape
    views = [v for v in reads if isinstance(v, View)]
    shape, strides = _collapsed(shape, [v.strides for v in views])
    size = body.avals[0].size
    call = _call(body, reads, (), shape, strides, is_flat=len(shape) < 2, size=size)
    partial = target if call.shares == 1 else workspace(call.shares)
    steps = [KernelStep(call.kernel, call.shares, (*call.operands, partial), label)]
    if call.shares > 1:
        steps.append(KernelStep(add_blocks, 1, (call.shares, 1, 1, partial, target), label))
    return steps


def fused_rows(body: Body, reads: Sequence[View | Constant], writes: Sequence[View]) -> Call | None:
    """A fused node as a call whose share i of n is row i, where n counts the rows of its last
    axis; None where the other axes do not merge into three."""
    views = [v for v in (*reads, *writes) if isinstance(v, View)]
    shape, strides = _collapsed(writes[0].shape, [v.strides for v in views], keep_last=True)
    if len(shape) > 4:
        return None
    return _call(body, reads, writes, shape, strides, is_flat=False, size=writes[0].size)


def _call(
    body: Body,
    reads: Sequence[View | Constant],
    writes: Sequence[View],
    shape: Shape,
    strides: Sequence[Shape],
    is_flat: bool,
    size: int,
) -> Call:
    """`shape` and `strides` (one for each view) are collapsed. No `writes`: the sum is wanted."""
    inner = shape[-1] if shape else 1
    moves = iter(strides)
    ports: list[Port] = []
    operands: list[list[Operand]] = []
    for k, item in enumerate((*reads, *writes)):
        if isinstance(item, Constant):
            ports.append(Port(item.aval.dtype, "constant"))
            operands.append([item.value])
            continue
        steps = next(moves)
        motion = _motion(steps[-1] if steps else 1, inner)
        alias = _alias(item, reads) if k >= len(reads) else -1
        ports.append(Port(item.dtype, motion, alias))
        operands.append(_moves(item, steps, motion, is_flat))
    rows = inner if is_flat else size_of(shape[:-1])
    shares = shares_of(size * max(len(body.lines), 1), WORK_OF_A_SHARE, rows)
    outer = (1, 1, *shape[:-1])
    head: list[Operand] = [inner] if is_flat else [inner, rows, outer[-2], outer[-1]]
    kernel = fused_kernel(body, tuple(ports), is_flat, is_sum=not writes)
    return Call(kernel, (*head, *(o for group in operands for o in group)), shares)


def _alias(item: View, reads: Sequence[View | Constant]) -> int:
    return next((i for i, r in enumerate(reads) if r == item), -1)


def _motion(step: int, inner: int) -> Motion:
    if step == 1 or inner == 1:
        return "unit"
    return "scalar" if step == 0 else "strided"


def _moves(view: View, steps: Shape, motion: Motion, is_flat: bool) -> list[Operand]:
    size = view.dtype.itemsize
    found: list[Operand] = [view]
    if not is_flat:
        found += [s * size for s in (0, 0, 0, *steps[:-1])[-3:]]
    if motion == "strided":
        found.append(steps[-1] * size)
    return found


def _collapsed(
    shape: Shape, strides: Sequence[Shape], keep_last: bool = False
) -> tuple[Shape, list[Shape]]:
    """The fewest axes that walk the same elements: axes of size 1 go, neighbours merge; the last
    axis stays by itself if asked."""
    last = len(shape) - 1 if keep_last else -1
    axes = [i for i, n in enumerate(shape) if n != 1 or i == last]
    sizes: list[int] = []
    steps: list[list[int]] = []
    for axis in axes:
        here = [s[axis] for s in strides]
        merges = steps and axis != last
        if merges and all(a == b * shape[axis] for a, b in zip(steps[-1], here, strict=True)):
            sizes[-1] *= shape[axis]
            steps[-1] = here
        else:
            sizes.append(shape[axis])
            steps.append(here)
    return tuple(sizes), [tuple(s[k] for s in steps) for k in range(len(strides))]


def _by_first_axis(
    body: Body, reads: Sequence[View | Constant], writes: Sequence[View], label: str
) -> list[KernelStep]:
    rows = []
    axis = next(i for i, n in enumerate(writes[0].shape) if n != 1)
    for k in range(writes[0].shape[axis]):
        inputs = [r if isinstance(r, Constant) else _at(r, axis, k) for r in reads]
        rows += fused_steps(body, inputs, [_at(w, axis, k) for w in writes], label)
    return rows


def _at(view: View, axis: int, k: int) -> View:
    shape = (*view.shape[:axis], 1, *view.shape[axis + 1 :])
    return replace(view, offset=view.offset + k * view.strides[axis], shape=shape)


def kernel_copy(source: View | Constant, target: View, label: str) -> list[KernelStep]:
    """Copies `source`, broadcast where its strides are 0, or fills with a constant."""
    aval = Aval(target.shape, target.dtype)
    body = Body((Line(_COPY, (), target.dtype, (0,)),), (0,), (aval,))
    return fused_steps(body, (source,), (target,), label)


def array_copy(source: View | Constant, target: View, label: str) -> ArrayStep:
    """As `kernel_copy`, by NumPy."""
    if isinstance(source, View):
        return ArrayStep(lambda r, w: np.copyto(w[0], r[0]), (source,), (target,), label)
    value = source.value
    return ArrayStep(lambda r, w: w[0].fill(value), (), (target,), label)
