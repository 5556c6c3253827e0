"""An ONNX file as a graph of our nodes, for every view and overlay that draws one.

What reads a size alone hangs on nothing here, as in our own graphs, where sizes are known before
anything runs: the arithmetic on shapes that exporters write stays out of block diagrams.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import DType, float32, int64
from tinygrad_tx.graph.node import Aval, Node, Operator, make_node
from tinygrad_tx.interop.foreign import (
    UNKNOWN_RANK,
    ForeignGraph,
    OpenSize,
    Stored,
    foreign_operator,
    printable,
    scope_of,
)
from tinygrad_tx.interop.onnx_file import OnnxFile, captured_by, load, refused
from tinygrad_tx.interop.onnx_functions import subgraphs_of
from tinygrad_tx.interop.onnx_names import kinds_around, place_of, scope_of_node
from tinygrad_tx.interop.onnx_operators import STEPS, VIEWS, WORDS, cost_of, values_of

__all__ = ["read_onnx"]

DOMAINS = ("", "ai.onnx", "com.microsoft")
"""Whose names of operators mean what WORDS says."""

MOST_DIMENSIONS = 32
LARGEST_SIZE = 2**62  # elements: more than any address

_ANYTHING: DType = np.dtype(object)  # strings, sequences, and what inference does not know


def read_onnx(path: str | Path, sizes: Sequence[Sequence[int]] = ()) -> ForeignGraph:
    """The graph in an ONNX file, with local functions inlined; weights are not read.

    sizes: shapes of the inputs in order, for sizes that the file leaves open. Any float tensor that
    the file carries is a parameter, and so are integers of 8 bits or fewer in two dimensions or
    more: quantised weights. A single number is none, unless its name has a module.
    Errors: OnnxError where the file cannot be read or is no graph, or onnx is not installed.
    """
    return _Reading(load(path, sizes)).graph()


class _Reading:
    def __init__(self, file: OnnxFile) -> None:
        from onnx import TensorProto

        self.file, self.kinds = file, TensorProto
        listed = (*file.graph.value_info, *file.graph.input, *file.graph.output)
        self.types = {v.name: v.type for v in listed}
        self.values: dict[str, Node] = {}
        self.parameters: dict[Node, str] = {}
        self.inputs: dict[Node, str] = {}
        self.modules: dict[str, str] = dict(file.kinds)
        self.symbols: dict[str, None] = {}
        self.weights: set[str] = set()  # parameters, and the same in another form
        self.stored: set[str] = set()
        self.readers: dict[str, list[Any]] = defaultdict(list)
        for node in file.nodes:
            for name in node.input:
                self.readers[name].append(node)
        self.read = {o.name for o in file.graph.output} | self.readers.keys()
        self.read |= {name for node in file.nodes for name in captured_by(node)}

    def graph(self) -> ForeignGraph:
        for name, tensor in self.file.initializers:
            self._store(name, tensor, _parameter_path(name))
        for value in self.file.graph.input:
            if value.name not in self.values:
                leaf = self._leaf(value.name, self._aval(value.name))
                self.values[value.name] = leaf
                self.inputs[leaf] = printable(value.name)
        for node in self.file.nodes:
            if node.op_type == "Constant" and node.domain in DOMAINS:
                self._add_constant(node)
            else:
                self._add(node)
        return ForeignGraph(
            printable(self.file.path.stem),
            tuple(self.values[o.name] for o in self.file.graph.output),
            self.parameters,
            self.inputs,
            self.modules,
            tuple(self.symbols),
        )

    def _store(self, name: str, tensor: Any, path: str) -> None:
        """A tensor that the file carries: a number in the title of its reader, or a leaf.

        path: that of a parameter; a tensor without a module in it may be a mere number.
        """
        dense = getattr(tensor, "values", tensor)  # a sparse tensor has its numbers apart
        dtype, dims = self._dtype(dense.data_type), tuple(tensor.dims)
        self.stored.add(name)
        is_number = dense is tensor and (not dims or (prod(dims) == 1 and "." not in path))
        number = self._number(tensor) if is_number else None
        if number is not None:
            self.values[name] = _constant(number, dtype, dims)
            return
        leaf = self._leaf(name, self._checked(dims, dtype, name))
        self.values[name] = leaf
        if self._is_trained(dense.data_type, len(dims)):
            self.parameters[leaf] = path
            self.weights.add(name)

    def _is_trained(self, data_type: int, rank: int) -> bool:
        kinds = self.kinds
        try:
            word = kinds.DataType.Name(data_type)
        except ValueError:  # no type that there is
            return False
        if word.startswith("FLOAT") or data_type in (kinds.DOUBLE, kinds.BFLOAT16):
            return rank > 0
        return rank > 1 and word in ("INT8", "UINT8", "INT4", "UINT4", "INT2", "UINT2")

    def _number(self, tensor: Any) -> bool | int | float | None:
        """The value of a tensor of one element, if it lies in the file itself."""
        from onnx.numpy_helper import to_array

        if tensor.data_location == self.kinds.EXTERNAL:
            return None
        try:
            value = to_array(tensor).item()
        except (KeyError, ValueError, TypeError):
            return None  # damaged: its leaf is drawn without a value
        return value if isinstance(value, (bool, int, float)) else None

    def _add_constant(self, node: Any) -> None:
        name = next((o for o in node.output if o), "")
        for attribute in node.attribute:
            if attribute.name == "value":
                return self._store(name, attribute.t, _constant_path(name, attribute.t.dims))
            if attribute.name == "sparse_value":
                return self._store(name, attribute.sparse_tensor, _parameter_path(name))
            if attribute.name == "value_float":
                self.values[name] = _constant(attribute.f, float32)
                return None
            if attribute.name == "value_int":
                self.values[name] = _constant(attribute.i, int64)
                return None
        self.stored.add(name)
        self.values[name] = self._leaf(name, self._aval(name))
        return None

    def _add(self, node: Any) -> None:
        """The node of an operation, and one for each of its results where several are read."""
        results = [name for name in node.output if name]
        if not results:
            return
        sources = self._sources(node)
        scope = scope_of(scope_of_node(node))
        self.modules |= kinds_around(node)
        place, name = place_of(node), "pattern" if self._is_pattern(node) else ""
        op = self._operator(node, bool(sources))
        avals = tuple(self._aval(result) for result in results)
        made = make_node(op, sources, {}, avals, scope, name, place)
        if op.view is not None and node.input[0] in self.weights:
            self.weights.update(results)
        if not self.read.intersection(results[1:]):
            self.values[results[0]] = made
            return
        for index, result in enumerate(results):
            # Not our `part`, whose results of attention are opened when drawn.
            part = foreign_operator("result", is_view=True, formula=f"result {index}")
            attrs = {"index": index}
            self.values[result] = make_node(part, (made,), attrs, (avals[index],), scope, "", place)

    def _sources(self, node: Any) -> tuple[Node, ...]:
        """What a node reads: its values, and what its subgraphs capture and carry."""
        names = [node.input[i] for i in values_of(node.op_type, len(node.input))]
        names += captured_by(node)
        for graph in subgraphs_of(node):
            for number, tensor in enumerate(graph.initializer):
                name = f"{node.output[0]}/{number}/{tensor.name}"
                self._store(name, tensor, _parameter_path(tensor.name))
                names.append(name)
        return tuple(self.values[name] for name in names if name)

    def _operator(self, node: Any, has_sources: bool) -> Operator:
        known = node.domain in DOMAINS
        op_type = printable(node.op_type)
        held = _contents(node)
        if held:
            return foreign_operator(_capital(op_type), cost_of("", "", ""), formula=held)
        is_view = known and has_sources and (op_type in VIEWS or self._is_still(node))
        if op_type == "Gather" and known and len(node.input) > 1:
            if node.input[0] in self.weights:
                return foreign_operator("take")
            # One place of an axis, the same in every run: as a slice is.
            is_view = node.input[1] in self.stored
            return foreign_operator("slice" if is_view else "Gather", None, is_view)
        word = WORDS.get(op_type, "") if known and has_sources else ""
        equation = next((a.s for a in node.attribute if a.name == "equation"), b"")
        packed = node.domain == "com.microsoft" and op_type == "Attention"
        cost = cost_of(
            op_type if known and not packed else "", word, equation.decode(errors="replace")
        )
        return foreign_operator(word or _capital(op_type), cost, is_view)

    def _is_still(self, node: Any) -> bool:
        """Whether a dropout does nothing, as outside of training."""
        return node.op_type == "Dropout" and len([i for i in node.input if i]) < 3

    def _is_pattern(self, node: Any) -> bool:
        """Whether a softmax weighs values: it ends as the left of a product with another value."""
        if node.op_type != "Softmax" or not node.output:
            return False
        name = node.output[0]
        for _ in range(6):
            for reader in self.readers[name]:
                if reader.op_type in ("MatMul", "FusedMatMul") and reader.input[0] == name:
                    return reader.input[1] not in self.weights
            steps = [r for r in self.readers[name] if r.op_type in STEPS and r.output]
            if not steps:
                return False
            name = steps[-1].output[0]
        return False

    def _leaf(self, name: str, aval: Aval) -> Node:
        # An operator of its own: the same name in another file is another leaf.
        op = foreign_operator("buffer", formula="memory")
        return make_node(op, (), {"buffer": Stored(name)}, (aval,), "", "", "")

    def _dtype(self, data_type: int) -> DType:
        from onnx.helper import tensor_dtype_to_np_dtype

        try:
            dtype: DType = np.dtype(tensor_dtype_to_np_dtype(data_type))
        except (KeyError, TypeError, ValueError):
            return _ANYTHING
        return dtype

    def _aval(self, name: str) -> Aval:
        """What the file and inference know of a value."""
        known = self.types.get(name)
        kind = known.WhichOneof("value") if known is not None else None
        if kind not in ("tensor_type", "sparse_tensor_type"):
            return Aval((UNKNOWN_RANK,), _ANYTHING)
        tensor = getattr(known, kind)
        dtype = self._dtype(tensor.elem_type)
        if not tensor.HasField("shape"):
            return Aval((UNKNOWN_RANK,), dtype)
        return self._checked(tuple(self._size(d) for d in tensor.shape.dim), dtype, name)

    def _size(self, dim: Any) -> int:
        if dim.HasField("dim_value") and dim.dim_value >= 0:
            return int(dim.dim_value)
        symbol = printable(dim.dim_param, 24)
        # Inference numbers what it does not know; equal blocks must stay equal.
        symbol = "?" if not symbol or symbol.startswith("unk__") else symbol
        if symbol.isidentifier() or symbol == "?":
            self.symbols[symbol] = None
        return OpenSize(symbol)

    def _checked(self, shape: tuple[int, ...], dtype: DType, name: str) -> Aval:
        if len(shape) > MOST_DIMENSIONS:
            what = f"{printable(name)!r} claims {len(shape)} dimensions"
            raise refused(self.file.path, what, f"at most {MOST_DIMENSIONS} can be drawn")
        if prod(shape) > LARGEST_SIZE or any(size < 0 for size in shape):
            what = f"{printable(name)!r} claims the shape {shape}"
            raise refused(self.file.path, what, "no memory holds it; export the model again")
        return Aval(shape, dtype)


def _constant(value: bool | int | float, dtype: DType, shape: tuple[int, ...] = ()) -> Node:
    attrs = {"value": value, "dtype": dtype}
    return make_node(foreign_operator("constant"), (), attrs, (Aval(shape, dtype),), "", "", "")


def _parameter_path(name: str) -> str:
    """`encoder.0.weight`; names that exporters make up, as `onnx::MatMul_12`, have no module."""
    if "::" in name:
        return printable(name).replace(".", "·")
    return scope_of(name) or "weight"


def _constant_path(name: str, dims: Sequence[int]) -> str:
    """A node may hold a weight; where it holds one number, its module makes it none."""
    return "number" if prod(dims) == 1 else _parameter_path(name)


def _capital(op_type: str) -> str:
    """Never one of our words, which begin small."""
    return op_type[:1].upper() + op_type[1:] or "Operation"


def _contents(node: Any) -> str:
    """What each branch of an If or body of a Loop holds: `then_branch: 2 × MatMul, Add`."""
    said = []
    for attribute in node.attribute:
        graphs = [attribute.g] if attribute.HasField("g") else list(attribute.graphs)
        for graph in graphs:
            counts = Counter(printable(inner.op_type) for inner in graph.node)
            words = [f"{n} × {word}" if n > 1 else word for word, n in counts.most_common(8)]
            words += ["…"] if len(counts) > 8 else []
            said.append(f"{printable(attribute.name)}: {', '.join(words) or 'nothing'}")
    return "; ".join(said[:8])
