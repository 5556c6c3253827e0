"""What ONNX only moves, and what it makes of sizes, in our functions."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import int64
from tinygrad_tx.interop.onnx_reading.call import Call, Value, meaning
from tinygrad_tx.interop.onnx_weights import array_of
from tinygrad_tx.shapes import broadcast_shapes
from tinygrad_tx.tensor import Tensor, one_hot, shape as f, tensor, where

__all__: list[str] = []


@meaning("Shape")
def shape(call: Call) -> Value:
    found = call.tensor(0).shape
    start, end = call.attr("start", 0), call.attr("end", len(found))
    return np.array(found[slice(start, end)], np.int64)


@meaning("Size")
def size(call: Call) -> Value:
    return np.array(call.tensor(0).size, np.int64)


@meaning("Constant")
def constant(call: Call) -> Value:
    for name in ("value_float", "value_floats", "value_int", "value_ints"):
        if (found := call.attr(name)) is not None:
            return np.array(found, np.float32 if "float" in name else np.int64)
    call.refuse("its value is no tensor and no number")
    raise AssertionError


@meaning("ConstantOfShape")
def constant_of_shape(call: Call) -> Tensor:
    sizes = call.bounded(call.ints(0))
    value = call.attr("value")
    one = np.zeros(1, np.float32) if value is None else array_of(value, call.path)
    if one.size != 1:
        call.refuse(f"its value has {one.size} numbers, not one")
    return f.broadcast_to(one.reshape(()), sizes)


@meaning("Range")
def counted(call: Call) -> Value:
    start, limit, step = (call.known(i).reshape(()) for i in range(3))
    if not step:
        call.refuse("its step is 0")
    count = int(np.ceil((limit.item() - start.item()) / step.item()))
    call.bounded((max(count, 0),))
    return np.asarray(start + np.arange(max(count, 0)) * step).astype(start.dtype)


@meaning("EyeLike")
def eye_like(call: Call) -> Tensor:
    from tinygrad_tx.interop.onnx_reading.elementwise import dtype_of

    x = call.tensor(0)
    if x.ndim != 2:
        call.refuse(f"needs a matrix, got {x.shape}")
    wanted = call.attr("dtype")
    dtype = x.dtype if wanted is None else dtype_of(call, wanted)
    rows, columns = (np.arange(n) for n in x.shape)
    return tensor(rows[:, None] + call.attr("k", 0) == columns).astype(dtype)


@meaning("Reshape")
def reshape(call: Call) -> Tensor:
    x, wanted = call.tensor(0), call.ints(1)
    if not call.attr("allowzero", 0):
        if any(n == 0 and i >= x.ndim for i, n in enumerate(wanted)):
            call.refuse(f"{wanted} keeps more axes than {x.shape} has")
        wanted = [x.shape[i] if n == 0 else n for i, n in enumerate(wanted)]
    return f.reshape(x, wanted)


@meaning("Flatten")
def flatten(call: Call) -> Tensor:
    x, axis = call.tensor(0), call.attr("axis", 1)
    at = axis if axis == x.ndim else call.axis(axis, x.ndim)
    return f.reshape(x, (prod(x.shape[:at]), prod(x.shape[at:])))


@meaning("Squeeze")
def squeeze(call: Call) -> Tensor:
    x, axes = call.tensor(0), call.list_of("axes", 1)
    if axes is None:
        return f.reshape(x, [n for n in x.shape if n != 1])
    gone = {call.axis(a, x.ndim) for a in axes}
    if any(x.shape[a] != 1 for a in gone):
        call.refuse(f"axes {axes} of {x.shape} are not all of size 1")
    return f.reshape(x, [n for i, n in enumerate(x.shape) if i not in gone])


@meaning("Unsqueeze")
def unsqueeze(call: Call) -> Tensor:
    x, axes = call.tensor(0), call.list_of("axes", 1) or []
    rank = x.ndim + len(axes)
    new = {call.axis(a, rank) for a in axes}
    if len(new) < len(axes):
        call.refuse(f"axes {axes} name one twice")
    old = iter(x.shape)
    return f.reshape(x, [1 if i in new else next(old) for i in range(rank)])


@meaning("Transpose")
def transpose(call: Call) -> Tensor:
    x = call.tensor(0)
    order = call.attr("perm")
    return f.permute_dims(x, list(range(x.ndim))[::-1] if order is None else list(order))


@meaning("Expand")
def expand(call: Call) -> Tensor:
    x, wanted = call.tensor(0), tuple(call.ints(1))
    whole = broadcast_shapes(x.shape, wanted)
    if whole is None:
        call.refuse(f"{x.shape} does not broadcast with {wanted}")
        raise AssertionError
    return f.broadcast_to(x, call.bounded(whole))


@meaning("Tile")
def tile(call: Call) -> Tensor:
    x, times = call.tensor(0), call.ints(1)
    if len(times) != x.ndim:
        call.refuse(f"{len(times)} repeats for {x.ndim} axes")
    whole = call.bounded([n * t for n, t in zip(x.shape, times, strict=True)])
    apart = [m for n in x.shape for m in (1, n)]
    wide = [m for n, t in zip(x.shape, times, strict=True) for m in (t, n)]
    return f.reshape(f.broadcast_to(f.reshape(x, apart), wide), whole)


@meaning("Concat")
def concat(call: Call) -> Tensor:
    inputs = call.tensors()
    return f.concat(inputs, call.axis(call.attr("axis", 0), inputs[0].ndim))


@meaning("Split")
def split(call: Call) -> tuple[Tensor, ...]:
    """Equal parts where no sizes are given, the last of which may be smaller."""
    x = call.tensor(0)
    axis = call.axis(call.attr("axis", 0), x.ndim)
    sizes = call.list_of("split", 1)
    parts = call.attr("num_outputs", len(call.wanted))
    if sizes is None:
        if parts != len(call.wanted) or parts < 1:
            call.refuse(f"{parts} parts for {len(call.wanted)} results")
        each = -(-x.shape[axis] // parts)
        sizes = [max(0, min(each, x.shape[axis] - i * each)) for i in range(parts)]
    return f.split(x, sizes, axis)


@meaning("Slice")
def cut(call: Call) -> Tensor:
    x = call.tensor(0)
    starts, ends = call.ints(1), call.ints(2)
    axes = call.ints(3) if call.has(3) else list(range(len(starts)))
    steps = call.ints(4) if call.has(4) else [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        call.refuse(f"starts {starts}, ends {ends}, axes {axes} and steps {steps} do not fit")
    key = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        key[call.axis(axis, x.ndim)] = slice(start, end, step)
    return x[tuple(key)]


@meaning("Pad")
def pad(call: Call) -> Tensor:
    """With one value; what is cut off by a negative width is cut first."""
    x, widths = call.tensor(0), call.ints(1)
    if call.attr("mode", b"constant") != b"constant":
        call.refuse(f"mode {call.attr('mode')!r} is not known here")
    axes = [call.axis(a, x.ndim) for a in call.ints(3)] if call.has(3) else list(range(x.ndim))
    if len(widths) != 2 * len(axes):
        call.refuse(f"{len(widths)} widths for {len(axes)} axes")
    pairs = [(0, 0)] * x.ndim
    for i, axis in enumerate(axes):
        pairs[axis] = (widths[i], widths[len(axes) + i])
    call.bounded([n + max(a, 0) + max(b, 0) for n, (a, b) in zip(x.shape, pairs, strict=True)])
    key = [slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, pairs, strict=True)]
    value = call.number(2) if call.has(2) else 0
    return f.pad(x[tuple(key)], [(max(a, 0), max(b, 0)) for a, b in pairs], value)


@meaning("Trilu")
def trilu(call: Call) -> Tensor:
    x, k = call.tensor(0), call.number(1) if call.has(1) else 0
    if x.ndim < 2:
        call.refuse(f"needs a matrix, got {x.shape}")
    return f.triu(x, k) if call.attr("upper", 1) else f.tril(x, k)


@meaning("OneHot")
def one_hot_(call: Call) -> Tensor:
    indices, count, values = call.tensor(0), int(call.number(1)), call.tensor(2)
    axis = call.axis(call.attr("axis", -1), indices.ndim + 1)
    call.bounded((*indices.shape, count))
    wrapped = where(indices < 0, indices + count, indices)
    hot = f.moveaxis(one_hot(wrapped.astype(int64), count, bool), -1, axis)
    return where(hot, values[1], values[0])


@meaning("NonZero")
def non_zero(call: Call) -> Any:
    """Of known numbers alone: the shape of the result depends on them."""
    return np.array(np.nonzero(call.known(0)), np.int64)
