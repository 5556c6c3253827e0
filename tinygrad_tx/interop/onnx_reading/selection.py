"""Reductions of ONNX, and what it chooses by index, in our functions."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from tinygrad_tx.dtypes import bool_
from tinygrad_tx.interop.onnx_reading.call import Call, meaning
from tinygrad_tx.tensor import Tensor, elementwise, ones, reductions, selection, shape, tensor
from tinygrad_tx.tensor.tensor import build

__all__: list[str] = []

Reduce = Callable[[Tensor, tuple[int, ...], bool], Tensor]


def _reduction(name: str, function: Reduce) -> None:
    @meaning(name)
    def compute(call: Call) -> Tensor:
        x, axes = call.tensor(0), call.list_of("axes", 1)
        keep, none = bool(call.attr("keepdims", 1)), call.attr("noop_with_empty_axes", 0)
        if not axes and none:
            return x
        every = tuple(range(x.ndim))
        return function(x, tuple(call.axis(a, x.ndim) for a in axes or every), keep)


for theirs, ours in (
    ("ReduceSum", reductions.sum),
    ("ReduceMean", reductions.mean),
    ("ReduceProd", reductions.prod),
    (
        "ReduceMax",
        lambda x, *how: (reductions.any if x.dtype == bool_ else reductions.max)(x, *how),
    ),
    (
        "ReduceMin",
        lambda x, *how: (reductions.all if x.dtype == bool_ else reductions.min)(x, *how),
    ),
    ("ReduceLogSumExp", reductions.logsumexp),
    ("ReduceL1", lambda x, axes, keep: reductions.sum(elementwise.abs(x), axes, keep)),
    (
        "ReduceL2",
        lambda x, axes, keep: elementwise.sqrt(reductions.sum(elementwise.square(x), axes, keep)),
    ),
    ("ReduceSumSquare", lambda x, axes, keep: reductions.sum(elementwise.square(x), axes, keep)),
    ("ReduceLogSum", lambda x, axes, keep: elementwise.log(reductions.sum(x, axes, keep))),
):
    _reduction(theirs, ours)


@meaning("ArgMax", "ArgMin")
def extreme(call: Call) -> Tensor:
    """The first of equals, or the last, which is the first from behind."""
    x = call.tensor(0)
    function = reductions.argmax if call.op_type == "ArgMax" else reductions.argmin
    axis, keep = call.axis(call.attr("axis", 0), x.ndim), bool(call.attr("keepdims", 1))
    if call.attr("select_last_index", 0):
        return x.shape[axis] - 1 - function(shape.flip(x, axis), axis, keep)
    return function(x, axis, keep)


@meaning("TopK")
def top_k(call: Call) -> tuple[Tensor, Tensor]:
    call.let_pass("sorted")  # they are, in any case
    x, count = call.tensor(0), int(call.number(1))
    axis = call.axis(call.attr("axis", -1), x.ndim)
    if not 0 <= count <= x.shape[axis]:
        call.refuse(f"{count} of an axis of {x.shape[axis]}")
    order = selection.argsort(x, axis, descending=bool(call.attr("largest", 1)))
    places = order[(*[slice(None)] * axis, slice(count))]
    return selection.take_along_axis(x, places, axis), places


@meaning("CumSum")
def cumsum(call: Call) -> Tensor:
    x, axis = call.tensor(0), call.axis(int(call.number(1)), call.tensor(0).ndim)
    backwards = bool(call.attr("reverse", 0))
    x = shape.flip(x, axis) if backwards else x
    found = reductions.cumsum(x, axis)
    if call.attr("exclusive", 0):
        found = found - x
    return shape.flip(found, axis) if backwards else found


@meaning("Gather")
def gather(call: Call) -> Tensor:
    x, indices = call.tensor(0), call.tensor(1)
    return selection.take(x, indices, call.axis(call.attr("axis", 0), x.ndim))


@meaning("GatherElements")
def gather_elements(call: Call) -> Tensor:
    x, indices = call.tensor(0), call.tensor(1)
    axis = call.axis(call.attr("axis", 0), x.ndim)
    if indices.ndim != x.ndim:
        call.refuse(f"indices {indices.shape} of {x.shape}")
    key = [slice(None) if a == axis else slice(n) for a, n in enumerate(indices.shape)]
    return selection.take_along_axis(x[tuple(key)], indices, axis)


@meaning("GatherND")
def gather_nd(call: Call) -> Tensor:
    x, indices = call.tensor(0), call.tensor(1)
    if call.attr("batch_dims", 0):
        call.refuse("batch_dims is set, which is not known here")
    rows, rest, flat = _rows(call, x, indices)
    return shape.reshape(selection.take(rows, flat, 0), (*indices.shape[:-1], *rest))


@meaning("ScatterND")
def scatter_nd(call: Call) -> Tensor:
    x, indices, updates = (call.tensor(i) for i in range(3))
    rows, rest, flat = _rows(call, x, indices)
    given = shape.reshape(updates, (prod(indices.shape[:-1]), prod(rest)))
    places = shape.reshape(flat, (given.shape[0],))
    count = rows.shape[0]
    wrapped = elementwise.where(places < 0, places + count, places)
    flat_rows = shape.reshape(rows, (count, prod(rest)))
    put = selection.scatter_add(given, wrapped, count)
    if _reduction_of(call) == b"add":
        return shape.reshape(flat_rows + put, x.shape)
    hit = selection.scatter_add(ones((given.shape[0],), np.int64), wrapped, count) > 0
    return shape.reshape(elementwise.where(shape.reshape(hit, (count, 1)), put, flat_rows), x.shape)


@meaning("ScatterElements")
def scatter_elements(call: Call) -> Tensor:
    x, indices, updates = (call.tensor(i) for i in range(3))
    axis = call.axis(call.attr("axis", 0), x.ndim)
    beside = [a for a in range(x.ndim) if a != axis]
    if indices.ndim != x.ndim or any(indices.shape[a] != x.shape[a] for a in beside):
        call.refuse(f"indices {indices.shape} do not cover {x.shape} beside axis {axis}")
    count = x.shape[axis]
    wrapped = elementwise.where(indices < 0, indices + count, indices)
    put: Tensor = build("scatter_add_along_axis", updates, wrapped, axis=axis, size=count)
    if _reduction_of(call) == b"add":
        return x + put
    counts = ones(indices.shape, np.int64)
    hit: Tensor = build("scatter_add_along_axis", counts, wrapped, axis=axis, size=count)
    return elementwise.where(hit > 0, put, x)


def _reduction_of(call: Call) -> bytes:
    """none: equal indices, of which ONNX says nothing, add up here."""
    found: bytes = call.attr("reduction", b"none")
    if found not in (b"none", b"add"):
        call.refuse(f"reduction {found!r} is not known here")
    return found


def _rows(call: Call, x: Tensor, indices: Tensor) -> tuple[Tensor, tuple[int, ...], Tensor]:
    """The first axes of x as one, the shape of the others, and each tuple of indices as one."""
    depth = indices.shape[-1] if indices.ndim else 0
    if not 0 < depth <= x.ndim:
        call.refuse(f"indices {indices.shape} point into {x.shape}")
    leading, rest = x.shape[:depth], x.shape[depth:]
    strides = np.array([prod(leading[i + 1 :]) for i in range(depth)], np.int64)
    sizes = np.array(leading, np.int64)
    inside = elementwise.where(indices < 0, indices + tensor(sizes), indices)
    flat = (inside * tensor(strides)).sum(-1)
    return shape.reshape(x, (prod(leading), *rest)), rest, flat
