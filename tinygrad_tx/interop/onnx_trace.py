"""A function recorded for export: one graph whose sizes are numbers or open (onnx_sizes.py).

Flow: `recorded` at each choice of sizes; `open_up` opens what ONNX has no operator for; `unified`
walks all recordings side by side, node by node, and refuses what differs in anything but sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from tinygrad_tx.capture import capturing
from tinygrad_tx.dtypes import DType
from tinygrad_tx.errors import OnnxError, explain
from tinygrad_tx.graph.node import Aval, Node
from tinygrad_tx.graph.walk import collect
from tinygrad_tx.interop.onnx_sizes import Dim, Size, fitted
from tinygrad_tx.runtime.buffer import AbstractBuffer, Array, Buffer
from tinygrad_tx.tensor import Tensor, no_grad
from tinygrad_tx.tree import flatten

__all__ = ["LEFT_OUT", "Counted", "OpenNode", "Recorded", "recorded", "unified"]


LEFT_OUT = ("alias", "barrier", "point", "require_finite", "stop_gradient")
"""What changes no value: it has a name there, and no node."""


@dataclass(frozen=True)
class Recorded:
    """inputs: the leaf of each argument, None where it is not read. outputs: in order."""

    inputs: tuple[Node | None, ...]
    outputs: tuple[Node, ...]


@dataclass(frozen=True, eq=False)
class OpenNode:
    """A node of all recordings at once: as Node, with sizes that may be open.

    first: the node in the first recording. buffer: of a leaf that holds values.
    """

    op: str
    inputs: tuple[OpenNode, ...]
    attrs: Mapping[str, Any]
    shapes: tuple[tuple[Dim, ...], ...]
    dtypes: tuple[DType, ...]
    first: Node
    values: Array | Buffer | None = None

    @property
    def shape(self) -> tuple[Dim, ...]:
        return self.shapes[0]

    @property
    def dtype(self) -> DType:
        return self.dtypes[0]


@dataclass(frozen=True)
class Counted:
    """A number of the graph that an open size makes: the size, or one over it."""

    size: Size
    is_inverse: bool


def recorded(function: Callable[..., Any], avals: Sequence[Aval | None]) -> Recorded:
    """`function` on arguments of these shapes, without memory and without running anything.

    What it assigns to an argument counts inside of it. Errors: OnnxError where it returns no
    tensor, or changes other state; and those of the function.
    """
    buffers = [None if a is None else AbstractBuffer(a.shape, a.dtype) for a in avals]
    with capturing() as recording, no_grad():
        result = function(*[None if b is None else Tensor(b) for b in buffers])
        found, _ = flatten(result, lambda v: isinstance(v, Tensor))
        if not found:
            raise OnnxError(explain("onnx", "the function returns no tensor"))
        outputs = tuple(t.node for t in found)
        own = {id(b) for b in buffers}
        updates = [leaf for leaf, _ in recording.updates() if id(leaf.attrs["buffer"]) not in own]
        if updates:
            leaf = updates[0]
            what = f"the function changes state, {leaf.aval}: a graph of ONNX has none"
            remedy = "call eval(), or make it an argument and a result"
            raise OnnxError(explain("onnx", what, made=[("it", leaf.where)], remedy=remedy))
        leaves = tuple(None if b is None else recording.leaves.get(b) for b in buffers)
    return Recorded(leaves, outputs)


def unified(
    recordings: Sequence[Recorded], sizes: Sequence[Mapping[str, int]]
) -> tuple[dict[int, OpenNode], tuple[OpenNode, ...]]:
    """All recordings as one graph: its inputs by their number, and its outputs.

    Errors: OnnxError that names the first operation in which they differ by more than sizes.
    """
    return _Unifying(recordings, sizes).graph()


class _Unifying:
    def __init__(self, recordings: Sequence[Recorded], sizes: Sequence[Mapping[str, int]]) -> None:
        self.recordings, self.sizes = recordings, sizes
        self.known: dict[tuple[Node, ...], OpenNode] = {}
        self.number: dict[Node, int] = {}
        for recording in recordings:
            for i, leaf in enumerate(recording.inputs):
                if leaf is not None:
                    self.number[leaf] = i

    def graph(self) -> tuple[dict[int, OpenNode], tuple[OpenNode, ...]]:
        if len({len(r.outputs) for r in self.recordings}) > 1:
            raise OnnxError(explain("onnx", "how many results there are depends on sizes"))
        together = [
            tuple(group) for group in zip(*(r.outputs for r in self.recordings), strict=True)
        ]
        for group in self._ordered(together):
            self.known[group] = self._one(group)
        inputs = {self.number[g[0]]: n for g, n in self.known.items() if g[0] in self.number}
        return inputs, tuple(self.known[group] for group in together)

    def _ordered(self, outputs: Sequence[tuple[Node, ...]]) -> list[tuple[Node, ...]]:
        """Nodes of all recordings side by side, inputs before readers."""
        if len(self.recordings) == 1:
            return [(n,) for n in collect([group[0] for group in outputs])]
        found: set[tuple[Node, ...]] = set()
        stack = list(outputs)
        while stack:
            group = stack.pop()
            if group in found:
                continue
            found.add(group)
            first = group[0]
            alike = all(
                (n.op, len(n.inputs), n.name, len(n.outputs), sorted(n.attrs))
                == (
                    first.op,
                    len(first.inputs),
                    first.name,
                    len(first.outputs),
                    sorted(first.attrs),
                )
                for n in group
            )
            if not alike:
                others = sorted({n.op.name for n in group})
                raise self._refused(first, f"at other sizes it computes {' or '.join(others)}")
            stack.extend(zip(*(n.inputs for n in group), strict=True))
        return sorted(found, key=lambda group: group[0].serial)

    def _one(self, group: tuple[Node, ...]) -> OpenNode:
        first = group[0]
        shapes = tuple(self._shape(group, i) for i in range(len(first.outputs)))
        dtypes = tuple(o.dtype for o in first.outputs)
        if first.op.name == "buffer":
            return self._leaf(group, shapes, dtypes)
        keys = first.attrs if first.op.name not in LEFT_OUT else ()  # an alias has a number
        attrs = {key: self._attr([n.attrs[key] for n in group], first, key) for key in keys}
        inputs = tuple(self.known[i] for i in zip(*(n.inputs for n in group), strict=True))
        return OpenNode(first.op.name, inputs, MappingProxyType(attrs), shapes, dtypes, first)

    def _leaf(
        self,
        group: tuple[Node, ...],
        shapes: tuple[tuple[Dim, ...], ...],
        dtypes: tuple[DType, ...],
    ) -> OpenNode:
        """An argument, the same memory in all, or equal numbers; in an open shape 0, 1, ... or one
        number everywhere."""
        first = group[0]
        none: Mapping[str, Any] = MappingProxyType({})
        numbers = {self.number.get(n) for n in group}
        if len(numbers) == 1 and numbers != {None}:
            return OpenNode("input", (), none, shapes, dtypes, first)
        buffers = [n.attrs["buffer"] for n in group]
        if numbers == {None} and all(b is buffers[0] for b in buffers):
            return OpenNode("buffer", (), none, shapes, dtypes, first, buffers[0])
        if numbers == {None}:
            arrays = [b.array for b in buffers]
            if all(a.shape == arrays[0].shape and np.array_equal(a, arrays[0]) for a in arrays):
                return OpenNode("buffer", (), none, shapes, dtypes, first, arrays[0])
            if all(a.ndim == 1 and np.array_equal(a, np.arange(a.size)) for a in arrays):
                attrs = MappingProxyType({"shape": shapes[0], "axis": 0, "dtype": dtypes[0]})
                return OpenNode("iota", (), attrs, shapes, dtypes, first)
            if all(a.size and (a == arrays[0].flat[0]).all() for a in arrays):
                attrs = MappingProxyType({"value": arrays[0].flat[0].item(), "dtype": dtypes[0]})
                one = OpenNode("constant", (), attrs, ((),), dtypes, first)
                return OpenNode("broadcast_to", (one,), none, shapes, dtypes, first)
        raise self._refused(first, "an array from outside, whose numbers depend on an open size")

    def _shape(self, group: tuple[Node, ...], index: int) -> tuple[Dim, ...]:
        shapes = [n.outputs[index].shape for n in group]
        if len({len(s) for s in shapes}) > 1 or len({n.outputs[index].dtype for n in group}) > 1:
            raise self._refused(group[0], "its rank or dtype depends on an open size")
        return tuple(self._size(column, group[0]) for column in zip(*shapes, strict=True))

    def _size(self, values: Sequence[int], node: Node) -> Dim:
        found = fitted(values, self.sizes)
        if found is None:
            tried = ", ".join(
                f"{v} where {' and '.join(f'{k} is {n}' for k, n in s.items())}"
                for v, s in list(zip(values, self.sizes, strict=True))[:2]
            )
            raise self._refused(node, f"a size is no sum or product of open sizes: {tried}")
        return found

    def _attr(self, values: Sequence[Any], node: Node, key: str) -> Any:
        first = values[0]
        if all(type(v) is type(first) and v == first for v in values[1:]):
            return first
        if all(isinstance(v, tuple) and len(v) == len(first) for v in values):
            return tuple(self._attr(column, node, key) for column in zip(*values, strict=True))
        if all(isinstance(v, int) and not isinstance(v, bool) for v in values):
            return self._size(values, node)
        if node.op.name == "constant" and all(isinstance(v, float) for v in values):
            return self._number(values, node)
        raise self._refused(node, f"its {key} depends on an open size")

    def _number(self, values: Sequence[float], node: Node) -> Counted:
        """A constant that is an open size, or one over it, as in a mean."""
        for is_inverse in (False, True):
            near = [round(1 / v) if is_inverse and v else round(v) for v in values]
            exact = all(
                v == (1 / n if is_inverse else n) for v, n in zip(values, near, strict=True) if n
            )
            size = fitted(near, self.sizes) if exact and all(near) else None
            if isinstance(size, Size):
                return Counted(size, is_inverse)
        raise self._refused(node, f"the number {values[0]:.6g} depends on an open size")

    def _refused(self, node: Node, what: str) -> OnnxError:
        where = f"{node.op.name} in {node.scope}" if node.scope else node.op.name
        remedy = "export it with fixed sizes: dynamic=()"
        return OnnxError(
            explain("onnx", f"{where}: {what}", made=[("it", node.where)], remedy=remedy)
        )
