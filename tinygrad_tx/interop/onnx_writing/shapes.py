"""Rules for what only moves numbers, and for those that come from nowhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinygrad_tx.interop.onnx_sizes import Dim
from tinygrad_tx.interop.onnx_trace import OpenNode
from tinygrad_tx.interop.onnx_writing.rules import rule
from tinygrad_tx.interop.onnx_writing.writer import Writer

__all__: list[str] = []

BEFORE_THE_FIRST = -(2**62)
"""Where a slice that runs backwards ends, to hold the first element."""


@rule("constant", "an initialiser")
def constant(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    return writer.scalar(node.attrs["value"], node.dtype)


@rule("iota", "Range, Expand")
def iota(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    shape, axis = node.shape, node.attrs["axis"]
    found = writer.counted(shape[axis], node.dtype)
    if len(shape) == 1:
        return found
    found = writer.reshaped(found, (shape[axis], *(1 for _ in shape[axis + 1 :])))
    return writer.add("Expand", [found, writer.dims(shape)])


@rule("reshape", "Reshape")
def reshape(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    return writer.reshaped(inputs[0], node.shape)


@rule("broadcast_to", "Expand; none where the reader broadcasts")
def broadcast_to(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    return writer.add("Expand", [inputs[0], writer.dims(node.shape)])


@rule("permute_dims", "Transpose")
def permute_dims(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    if not node.shape:
        return writer.add("Identity", inputs)
    return writer.add("Transpose", inputs, perm=list(node.attrs["axes"]))


@rule("concat", "Concat")
def concat(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    return writer.add("Concat", inputs, axis=node.attrs["axis"])


@rule("split", "Split")
def split(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> Sequence[str]:
    sizes = writer.dims(node.attrs["sizes"])
    count, axis = len(node.attrs["sizes"]), node.attrs["axis"]
    return writer.add_several("Split", [inputs[0], sizes], count, axis=axis)


@rule("slice", "Slice")
def cut(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    rows: list[tuple[Dim, Dim, int, int]] = []
    ranges = zip(*(node.attrs[k] for k in ("start", "stop", "step")), strict=True)
    for axis, (start, stop, step) in enumerate(ranges):
        whole = start == 0 and step == 1 and stop == node.inputs[0].shape[axis]
        if not whole:
            stop = BEFORE_THE_FIRST if step < 0 and stop == -1 else stop
            rows.append((start, stop, axis, step))
    if not rows:
        return writer.add("Identity", inputs)
    starts, stops, axes, steps = (writer.dims(column) for column in zip(*rows, strict=True))
    return writer.add("Slice", [inputs[0], starts, stops, axes, steps])


@rule("pad", "Pad")
def pad(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    widths = node.attrs["widths"]
    sizes = writer.dims([*(w[0] for w in widths), *(w[1] for w in widths)])
    value = writer.scalar(node.attrs["value"], node.dtype)
    return writer.add("Pad", [inputs[0], sizes, value])


@rule("unslice", "Expand, ScatterND")
def unslice(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    """Axis by axis: rows are put to their places among zeros, that axis being the first."""
    found, sizes = inputs[0], list(node.inputs[0].shape)
    ranges = list(zip(*(node.attrs[k] for k in ("start", "stop", "step")), strict=True))
    zero = writer.scalar(0, node.dtype)
    for axis, (start, _, step) in enumerate(ranges):
        count, size = sizes[axis], node.shape[axis]
        if start == 0 and step == 1 and count == size:
            continue
        order = [axis, *(i for i in range(len(sizes)) if i != axis)]
        places = writer.counted(count)
        if step != 1:
            places = writer.add("Mul", [places, writer.array(np.asarray(step))])
        places = writer.add("Add", [places, writer.size(start)])
        sizes[axis] = size
        nothing = writer.add("Expand", [zero, writer.dims([sizes[i] for i in order])])
        turned = writer.add("Transpose", [found], perm=order)
        column = writer.reshaped(places, (count, 1))
        put = writer.add("ScatterND", [nothing, column, turned])
        found = writer.add("Transpose", [put], perm=[int(i) for i in np.argsort(order)])
    return found if found != inputs[0] else writer.add("Identity", inputs)
