"""Rules for reductions, and for what is chosen by index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinygrad_tx.dtypes import bool_, int64
from tinygrad_tx.interop.onnx_sizes import Dim
from tinygrad_tx.interop.onnx_trace import OpenNode
from tinygrad_tx.interop.onnx_writing.rules import rule
from tinygrad_tx.interop.onnx_writing.writer import Writer

__all__: list[str] = []


def _reduction(name: str, op_type: str) -> None:
    @rule(name, op_type)
    def emit(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
        return _reduced(writer, node, op_type, inputs[0])


for ours, theirs in (
    ("sum", "ReduceSum"),
    ("max", "ReduceMax"),
    ("min", "ReduceMin"),
    ("prod", "ReduceProd"),
):
    _reduction(ours, theirs)


def _reduced(writer: Writer, node: OpenNode, op_type: str, name: str) -> str:
    axes = node.attrs["axes"]
    if not axes:
        return writer.add("Identity", [name])
    keep = int(node.attrs["keepdims"])
    return writer.add(op_type, [name, writer.dims(axes)], keepdims=keep)


@rule("any", "Cast, ReduceSum")
def some(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    """How many there are: the largest of none is no number."""
    count = _reduced(writer, node, "ReduceSum", writer.cast(inputs[0], int64))
    return writer.cast(count, bool_)


@rule("all", "Not, Cast, ReduceSum")
def every(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    return writer.add("Not", [some(writer, node, [writer.add("Not", inputs)])])


@rule("argmax", "ArgMax")
def argmax(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    axis, keep = node.attrs["axis"], int(node.attrs["keepdims"])
    return writer.add("ArgMax", inputs, axis=axis, keepdims=keep)


@rule("argmin", "ArgMin")
def argmin(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    axis, keep = node.attrs["axis"], int(node.attrs["keepdims"])
    return writer.add("ArgMin", inputs, axis=axis, keepdims=keep)


@rule("argsort", "TopK")
def argsort(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    axis = node.attrs["axis"]
    largest = int(node.attrs["descending"])
    count = writer.size(node.shape[axis])
    return writer.add_several("TopK", [inputs[0], count], 2, axis=axis, largest=largest)[1]


@rule("cumsum", "CumSum")
def cumsum(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    return writer.add("CumSum", [inputs[0], writer.array(np.asarray(node.attrs["axis"]))])


@rule("take", "Gather")
def take(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    return writer.add("Gather", inputs, axis=node.attrs["axis"])


@rule("take_along_axis", "GatherElements")
def take_along_axis(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    return writer.add("GatherElements", inputs, axis=node.attrs["axis"])


@rule("scatter_add", "Expand, ScatterElements")
def scatter_add(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    """The axes that the indices have become one, and each index stands for all that it moves."""
    updates, indices = node.inputs
    axis, end = node.attrs["axis"], node.attrs["axis"] + len(indices.shape)
    before, after = updates.shape[:axis], updates.shape[end:]
    column = writer.add("Reshape", [inputs[1], writer.array(np.array([-1, *(1 for _ in after)]))])
    if len(indices.shape) == 1:
        laid, shape = inputs[0], updates.shape
    else:
        count = writer.add("Size", [inputs[1]])
        count = writer.add("Reshape", [count, writer.array(np.array([1]))])
        sizes = [writer.dims(d) for d in (before, after) if d]
        parts = [*sizes[: bool(before)], count, *sizes[bool(before) :]]
        whole = parts[0] if len(parts) == 1 else writer.add("Concat", parts, axis=0)
        laid = writer.add("Reshape", [inputs[0], whole], allowzero=1)
        spread = writer.add("Expand", [column, whole])
        return _added(writer, node, laid, spread, axis)
    return _added(writer, node, laid, writer.add("Expand", [column, writer.dims(shape)]), axis)


@rule("scatter_add_along_axis", "Expand, ScatterElements")
def scatter_add_along_axis(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    return _added(writer, node, inputs[0], inputs[1], node.attrs["axis"])


def _added(writer: Writer, node: OpenNode, updates: str, indices: str, axis: int) -> str:
    zero = writer.scalar(0, node.dtype)
    nothing = writer.add("Expand", [zero, writer.dims(node.shape)])
    given = [nothing, indices, updates]
    return writer.add("ScatterElements", given, axis=axis, reduction="add")


@rule("write_rows", "GatherElements, Where")
def write_rows(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    """Place p of text b reads row p - lengths[b], if there is one, else what stood there."""
    x, rows, lengths = inputs
    batch, _, context, _ = node.shape
    time = node.inputs[1].shape[2]
    first = writer.reshaped(lengths, (batch, 1, 1, 1))
    column: tuple[Dim, ...] = (context, 1)
    at = writer.add("Sub", [writer.reshaped(writer.counted(context), column), first])
    zero = writer.array(np.asarray(0))
    is_new = writer.add(
        "And",
        [
            writer.add("GreaterOrEqual", [at, zero]),
            writer.add("Less", [at, writer.size(time)]),
        ],
    )
    nearest = writer.add("Where", [is_new, at, zero])
    chosen = writer.add("Expand", [nearest, writer.dims(node.shape)])
    return str(
        writer.add("Where", [is_new, writer.add("GatherElements", [rows, chosen], axis=2), x])
    )
