"""Writer: the nodes, weights and names of an ONNX graph as it is written."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import DType, int64
from tinygrad_tx.interop.onnx_sizes import Dim, Size
from tinygrad_tx.interop.onnx_trace import LEFT_OUT, Counted, OpenNode
from tinygrad_tx.interop.onnx_writing.rules import RULES
from tinygrad_tx.runtime.buffer import Array, Buffer

__all__ = ["FIXED", "POINT", "Writer", "onnx_dtype"]

POINT = "tinygrad_tx.point"
"""The note with the paths of the points that a value is, with spaces between."""

FIXED = "fixed: not trained"
"""What is noted of tensors that belong to a model and that training leaves alone."""


class Writer:
    """names: of weights, by their memory. kinds: module path -> class. opset: what may be used."""

    def __init__(self, opset: int, names: Mapping[int, str], kinds: Mapping[str, str]) -> None:
        self.opset = opset
        self.nodes: list[Any] = []
        self.weights: dict[str, Array] = {}
        self.fixed: set[str] = set()
        """Of the weights those that training leaves alone."""
        self.values: dict[OpenNode, tuple[str, ...]] = {}
        self.sizes: dict[Dim, str] = {}
        """Where the graph holds a size, as int64 of shape (1,)."""
        self.shapes: dict[str, tuple[tuple[Dim, ...], DType]] = {}
        """What is known of values, for those who read the file."""
        self._names, self._kinds = names, kinds
        self._taken: Counter[str] = Counter()
        self._stored: dict[Any, str] = {}
        self._vectors: dict[tuple[Dim, ...], str] = {}
        self._points: dict[OpenNode, list[str]] = {}
        self._node: OpenNode | None = None

    # Nodes

    def begin(self, node: OpenNode) -> None:
        """What is added next belongs to `node`."""
        self._node = node

    def pass_on(self, source: str, name: str) -> None:
        """A result that is an argument, a weight, or the same as another."""
        from onnx import helper

        self.nodes.append(helper.make_node("Identity", [source], [name], self.name("/Identity")))

    def prune(self, results: Sequence[str]) -> None:
        """Leaves out what none of `results` needs, as what a reader broadcasts itself."""
        needed, kept = set(results), []
        for node in reversed(self.nodes):
            if needed.intersection(node.output):
                needed.update(node.input)
                kept.append(node)
        self.nodes = kept[::-1]
        self.weights = {n: w for n, w in self.weights.items() if n in needed}
        made = {name for node in kept for name in node.output}
        self.shapes = {n: s for n, s in self.shapes.items() if n in made}

    def write(self, nodes: Sequence[OpenNode]) -> None:
        """Adds what computes `nodes`, which stand inputs before readers. Arguments have names."""
        for node in nodes:
            if node.op == "point":
                made = node.inputs[0]
                while made.op in LEFT_OUT:
                    made = made.inputs[0]
                self._points.setdefault(made, []).append(node.first.path)
        for node in nodes:
            if node not in self.values:
                self._node = node
                self.values[node] = self._written(node)

    def _written(self, node: OpenNode) -> tuple[str, ...]:
        if node.op == "buffer":
            return (self._weight(node),)
        if node.op == "part":
            return (self.values[node.inputs[0]][node.attrs["index"]],)
        if node.op in LEFT_OUT:
            return (self.values[node.inputs[0]][0],)
        inputs, known = node.inputs, RULES[node.op]
        if known.broadcasts:
            inputs = self._unbroadcast(node)
        first = len(self.nodes)
        found = known.emit(self, node, [self.values[i][0] for i in inputs])
        names = (found,) if isinstance(found, str) else tuple(found)
        if node in self._points and len(names) == 1:
            names = (self._as_point(names[0], self._points[node], first),)
        for name, shape, dtype in zip(names, node.shapes, node.dtypes, strict=True):
            if name:
                self.shapes.setdefault(name, (shape, dtype))
        return names

    def _as_point(self, name: str, points: Sequence[str], first: int) -> str:
        """The name of a point for what a rule has just made, from node `first` on."""
        for node in self.nodes[first:]:
            if name in node.output:
                named = self.name(points[0])
                node.output[:] = [named if n == name else n for n in node.output]
                node.metadata_props.add(key=POINT, value=" ".join(points))
                return named
        return name  # an argument, a weight, or a value with a name of its own

    def _unbroadcast(self, node: OpenNode) -> tuple[OpenNode, ...]:
        """The inputs before they were broadcast, where ONNX will do the same."""
        bare = tuple(i.inputs[0] if i.op == "broadcast_to" else i for i in node.inputs)
        kept = 2 if node.op == "matmul" else 0  # axes that do not broadcast
        same = all(
            len(x.shape) >= kept
            and x.shape[len(x.shape) - kept :] == y.shape[len(y.shape) - kept :]
            for x, y in zip(bare, node.inputs, strict=True)
        )
        leading = node.shape[: len(node.shape) - kept]
        shapes = [x.shape[: len(x.shape) - kept] for x in bare]
        return bare if same and _broadcast(shapes, leading) else node.inputs

    def add(self, op_type: str, inputs: Sequence[str], **attrs: Any) -> str:
        """A node with one result; its name."""
        return self.add_several(op_type, inputs, 1, **attrs)[0]

    def add_several(
        self, op_type: str, inputs: Sequence[str], results: int, **attrs: Any
    ) -> list[str]:
        """A node; the names of its results."""
        from onnx import helper

        assert self._node is not None
        scope = self._node.first.scope
        at = "/".join(p for p in (scope, op_type) if p)
        outputs = [self.name(f"{at}.{i}" if results > 1 else at) for i in range(results)]
        node = helper.make_node(op_type, list(inputs), outputs, self.name(f"/{at}"), **attrs)
        node.metadata_props.add(key="namespace", value=self._namespace(scope, op_type))
        self.nodes.append(node)
        return outputs

    def name(self, wanted: str) -> str:
        """`wanted`, with a number where it is taken."""
        self._taken[wanted] += 1
        count = self._taken[wanted]
        return wanted if count == 1 else self.name(f"{wanted}_{count - 1}")

    def _namespace(self, scope: str, op_type: str) -> str:
        """The modules around a node with their classes, in the form of PyTorch's exporter."""
        words = scope.split(".") if scope else []
        paths = [".".join(words[: i + 1]) for i in range(len(words))]
        known = [p for p in ("", *paths) if p in self._kinds or p == scope]
        return "/".join([*(f"{p}: {self._kinds.get(p, '')}" for p in known), f"{op_type}: "])

    # Values that need no node

    def _weight(self, node: OpenNode) -> str:
        buffer = node.values
        if isinstance(buffer, Buffer):
            name = self.array(buffer.array, self._names.get(id(buffer), ""))
            owner = buffer.owner() if buffer.owner is not None else None
            if owner is None or not owner.requires_grad:
                self.fixed.add(name)
            return name
        assert buffer is not None
        return self.array(buffer)

    def array(self, values: Any, name: str = "") -> str:
        """An initialiser with these numbers; equal ones without a name are one."""
        array = np.ascontiguousarray(values).reshape(np.shape(values))
        content = (array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).digest())
        key = name or content
        if key not in self._stored:
            self._stored[key] = self.name(name or "constant")
            self.weights[self._stored[key]] = array
            if not name:
                self.fixed.add(self._stored[key])
        return self._stored[key]

    def scalar(self, value: bool | int | float | Counted, dtype: DType) -> str:
        """One number of this dtype."""
        if not isinstance(value, Counted):
            return self.array(np.asarray(value, dtype))
        found = self.cast(self.size(value.size), dtype)
        found = self.add("Reshape", [found, self.array(np.zeros(0, np.int64))])
        return self.add("Reciprocal", [found]) if value.is_inverse else found

    def size(self, dim: Dim) -> str:
        """A size as int64 of shape (1,)."""
        if not isinstance(dim, Size):
            return self.array(np.array([dim], np.int64))
        if dim not in self.sizes:
            terms = []
            for names, factor in dim.terms:
                factors = [self.sizes[Size((((n,), 1),))] for n in names]
                if factor != 1 or not names:
                    factors.append(self.array(np.array([factor], np.int64)))
                terms.append(self._joined("Mul", factors))
            self.sizes[dim] = self._joined("Add", terms)
        return self.sizes[dim]

    def _joined(self, op_type: str, names: Sequence[str]) -> str:
        found = names[0]
        for name in names[1:]:
            found = self.add(op_type, [found, name])
        return found

    def dims(self, dims: Sequence[Dim]) -> str:
        """Sizes side by side: int64 of shape (len(dims),)."""
        if not any(isinstance(d, Size) for d in dims):
            return self.array(np.array(dims, np.int64).reshape(len(dims)))
        key = tuple(dims)
        if key not in self._vectors:
            self._vectors[key] = self._side_by_side(dims)
        return self._vectors[key]

    def _side_by_side(self, dims: Sequence[Dim]) -> str:
        parts: list[str] = []
        fixed: list[int] = []
        for dim in (*dims, None):
            if isinstance(dim, int):
                fixed.append(dim)
                continue
            if fixed:
                parts.append(self.array(np.array(fixed, np.int64)))
                fixed = []
            if dim is not None:
                parts.append(self.size(dim))
        return parts[0] if len(parts) == 1 else self.add("Concat", parts, axis=0)

    def reshaped(self, name: str, shape: Sequence[Dim]) -> str:
        """`name` in another shape."""
        open_ones = [i for i, d in enumerate(shape) if isinstance(d, Size)]
        if len(open_ones) == 1 and 0 not in shape:
            shape = [-1 if i in open_ones else d for i, d in enumerate(shape)]
        attrs = {"allowzero": 1} if 0 in shape else {}
        return self.add("Reshape", [name, self.dims(shape)], **attrs)

    def cast(self, name: str, dtype: DType) -> str:
        return self.add("Cast", [name], to=onnx_dtype(dtype))

    def counted(self, count: Dim, dtype: DType = int64) -> str:
        """0, 1, ... count - 1."""
        if not isinstance(count, Size):
            return self.array(np.arange(count, dtype=dtype))
        scalar = self.add("Reshape", [self.size(count), self.array(np.zeros(0, np.int64))])
        zero, one = (self.array(np.asarray(n, np.int64)) for n in (0, 1))
        found = self.add("Range", [zero, scalar, one])
        return found if dtype == int64 else self.cast(found, dtype)


def _broadcast(shapes: Sequence[Sequence[Dim]], wanted: Sequence[Dim]) -> bool:
    """Whether `shapes` broadcast to `wanted`, no longer and no shorter."""
    for from_end in range(1, len(wanted) + 1):
        found = {s[len(s) - from_end] for s in shapes if len(s) >= from_end}
        if len(found - {1}) > 1 or wanted[len(wanted) - from_end] not in found:
            return False
    return True


def onnx_dtype(dtype: DType) -> int:
    """The number of an element type in ONNX."""
    from onnx.helper import np_dtype_to_tensor_dtype

    return int(np_dtype_to_tensor_dtype(dtype))
