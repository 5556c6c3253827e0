"""Which strides a kernel takes, and views of views."""

from __future__ import annotations

from dataclasses import replace

from tinygrad_tx.graph.lowering import View
from tinygrad_tx.graph.node import Layout, Node, Operator
from tinygrad_tx.shapes import Shape, contiguous_strides, reshape_strides

__all__ = ["allowed", "is_contiguous", "reads_of", "view_of", "whole"]


def allowed(layout: Layout, shape: Shape, strides: Shape) -> bool:
    """Whether memory of these strides serves a kernel that asks for `layout`."""
    if layout == "any" or 0 in shape:
        return True
    if layout == "contiguous":
        return is_contiguous(shape, strides)
    if layout == "rows":
        if len(shape) < 2:
            return is_contiguous(shape, strides)
        rows = reshape_strides(shape[:-1], strides[:-1], (_product(shape[:-1]),))
        return rows is not None and (shape[-1] == 1 or strides[-1] == 1)
    return not shape or shape[-1] == 1 or strides[-1] == 1


def _product(shape: Shape) -> int:
    size = 1
    for n in shape:
        size *= n
    return size


def is_contiguous(shape: Shape, strides: Shape) -> bool:
    """Whether the elements lie in C order; strides of axes of size 1 do not matter."""
    if 0 in shape:
        return True
    wanted = contiguous_strides(shape)
    return all(n == 1 or s == w for n, s, w in zip(shape, strides, wanted, strict=True))


def reads_of(op: Operator, count: int) -> tuple[Layout, ...]:
    """The layout asked of each input; the last one named holds for all further inputs."""
    named = op.reads if isinstance(op.reads, tuple) else (op.reads,)
    return (*named, *named[-1:] * count)[:count]


def view_of(node: Node, source: View, index: int = 0) -> View | None:
    """Result `index` of the view operator `node` over `source`, or None where it needs a copy."""
    assert node.op.view is not None
    found = node.op.view(node, source.strides, index)
    if found is None:
        return None
    offset, strides = found
    return replace(
        source, offset=source.offset + offset, shape=node.outputs[index].shape, strides=strides
    )


def whole(buffer: int, node: Node) -> View:
    """All of a buffer, in C order."""
    return View(buffer, 0, node.shape, contiguous_strides(node.shape), node.dtype)
