"""An ONNX file as one flat graph in order: checked, its local functions inlined.

The file may come from anyone: whatever it holds ends in an OnnxError or in a graph of bounded size.
Weights that lie in files beside it are not read here (onnx_weights.py reads them, to be run).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from tinygrad_tx.errors import OnnxError, explain
from tinygrad_tx.interop.foreign import printable
from tinygrad_tx.interop.onnx_functions import inlined, subgraphs_of

__all__ = ["OnnxFile", "captured_by", "load", "load_whole", "refused"]

LARGEST_BYTES = 2**31 - 1  # what protobuf can hold
LARGEST_VALUE = 1024  # elements: sizes and axes, which inference reads, are fewer


@dataclass(frozen=True)
class OnnxFile:
    """path: of the file. nodes: in order of computation. graph: for `load` with the shapes of all
    values and without large ones. kinds: scope of an inlined call -> name of its function. opsets:
    domain -> version."""

    path: Path
    nodes: Sequence[Any]
    graph: Any
    kinds: Mapping[str, str]
    opsets: Mapping[str, int]

    @property
    def initializers(self) -> Iterator[tuple[str, Any]]:
        """Names with their tensors, dense ones first."""
        yield from ((t.name, t) for t in self.graph.initializer)
        yield from ((t.values.name, t) for t in self.graph.sparse_initializer)


def load(path: str | Path, sizes: Sequence[Sequence[int]] = ()) -> OnnxFile:
    """The file at `path`, to be drawn: shapes inferred, large values left out.

    sizes: shapes of its inputs, where those in the file stay open.
    Errors: OnnxError where it cannot be read, is no ONNX file, or is not a graph.
    """
    path = Path(path)
    model, kinds = _flat(path)
    _bind(model.graph, sizes, path)
    graph = _inferred(model)
    return OnnxFile(path, list(graph.node), graph, kinds, _opsets(model))


def load_whole(path: str | Path) -> OnnxFile:
    """The file at `path` with all values that lie in it, to be run. Errors: as `load`."""
    path = Path(path)
    model, kinds = _flat(path)
    return OnnxFile(path, list(model.graph.node), model.graph, kinds, _opsets(model))


def refused(path: Path, what: str, remedy: str = "") -> OnnxError:
    """The error for a file that cannot be used."""
    return OnnxError(explain("onnx", f"{printable(path.name)}: {what}", remedy=remedy))


def _flat(path: Path) -> tuple[Any, dict[str, str]]:
    """The model with calls inlined and nodes in order, and the kinds of what was inlined."""
    model = _parsed(path)
    _check_text(model, path)
    if not model.HasField("graph") or not model.graph.output:
        raise refused(path, "it holds no graph with outputs", "export the model to ONNX again")
    kinds = inlined(model, path)
    nodes = _ordered(model.graph, path)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model, kinds


def _opsets(model: Any) -> dict[str, int]:
    return {"" if o.domain == "ai.onnx" else o.domain: o.version for o in model.opset_import}


def _parsed(path: Path) -> Any:
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        remedy = "pip install 'tinygrad-tx[interop]'"
        raise refused(path, "reading it needs the package onnx", remedy) from None
    try:
        if not path.is_file():
            raise refused(path, "there is no such file", "check the path")
        size = path.stat().st_size
        if size > LARGEST_BYTES:
            remedy = "export it with its weights as external data"
            raise refused(path, f"{size:,} bytes, more than protobuf holds", remedy)
        return onnx.load_model(str(path), format="protobuf", load_external_data=False)
    except OSError as error:
        raise refused(path, f"cannot be read: {error.strerror}") from None
    except (DecodeError, UnicodeDecodeError, ValueError) as error:
        what = f"not an ONNX file, or a damaged one ({printable(str(error), 120)})"
        raise refused(path, what, "export or download it again") from None


def _check_text(model: Any, path: Path) -> None:
    """Protobuf gives bytes for text that is not UTF-8."""
    stack = [model]
    while stack:
        for field, value in stack.pop().ListFields():
            if field.type == field.TYPE_MESSAGE:
                stack.extend([value] if hasattr(value, "ListFields") else value)
            elif field.type == field.TYPE_STRING:
                words = [value] if isinstance(value, (str, bytes)) else value
                if not all(isinstance(word, str) for word in words):
                    raise refused(path, f"{field.name} is not UTF-8", "export it again")


def captured_by(node: Any) -> list[str]:
    """Names from outside that the subgraphs of a node read, in order."""
    found: dict[str, None] = {}
    for graph in subgraphs_of(node):
        made = {t.name for t in (*graph.input, *graph.initializer)}
        made |= {t.values.name for t in graph.sparse_initializer}
        made |= {name for inner in graph.node for name in inner.output}
        for inner in graph.node:
            read = [name for name in (*inner.input, *captured_by(inner)) if name]
            found |= dict.fromkeys(name for name in read if name not in made)
        found |= dict.fromkeys(o.name for o in graph.output if o.name not in made)
    return list(found)


def _ordered(graph: Any, path: Path) -> list[Any]:
    """Nodes with inputs before readers, as they stand in the file wherever that is possible."""
    nodes = list(graph.node)
    maker: dict[str, int] = {i.name: -1 for i in graph.input}
    maker |= {t.name: -1 for t in graph.initializer}
    maker |= {t.values.name: -1 for t in graph.sparse_initializer}
    for index, node in enumerate(nodes):
        for name in node.output:
            if name and maker.setdefault(name, index) != index:
                raise refused(path, f"{printable(name)!r} is made twice", "export it again")
    readers: dict[int, list[int]] = {}
    missing = [0] * len(nodes)
    for index, node in enumerate(nodes):
        for name in dict.fromkeys((*node.input, *captured_by(node))):
            if name and name not in maker:
                raise refused(path, _nobody(name, f"{_called(node)} reads"))
            if name and maker[name] >= 0:
                readers.setdefault(maker[name], []).append(index)
                missing[index] += 1
    for output in graph.output:
        if output.name not in maker:
            raise refused(path, _nobody(output.name, "it gives out"))
    ready = [i for i, count in enumerate(missing) if not count]
    found: list[Any] = []
    while ready:
        index = heapq.heappop(ready)
        found.append(nodes[index])
        for reader in readers.get(index, ()):
            missing[reader] -= 1
            if not missing[reader]:
                heapq.heappush(ready, reader)
    if len(found) < len(nodes):
        stuck = [_called(node) for node, count in zip(nodes, missing, strict=True) if count]
        what = f"its nodes form a cycle, among them {', '.join(stuck[:3])}"
        raise refused(path, what, "a graph of values has no cycles; export it again")
    return found


def _nobody(name: str, reader: str) -> str:
    return f"{reader} {printable(name)!r}, which nothing makes"


def _called(node: Any) -> str:
    return printable(f"{node.op_type} {node.name}".strip())


def _bind(graph: Any, sizes: Sequence[Sequence[int]], path: Path) -> None:
    """Gives the open sizes of the inputs those of examples, everywhere in the graph."""
    stored = {t.name for t in graph.initializer}
    inputs = [i for i in graph.input if i.name not in stored]
    if len(sizes) > len(inputs):
        raise refused(path, f"{len(sizes)} example inputs for {len(inputs)} inputs")
    known: dict[str, int] = {}
    for value, shape in zip(inputs, sizes, strict=False):
        dims = value.type.tensor_type.shape.dim
        fits = len(dims) == len(shape) and all(
            not d.HasField("dim_value") or d.dim_value == n
            for d, n in zip(dims, shape, strict=True)
        )
        if not fits:
            shown = "×".join(printable(d.dim_param) or str(d.dim_value) for d in dims)
            what = f"input {printable(value.name)!r} is {shown}, the example {tuple(shape)}"
            raise refused(path, what, "pass examples of these shapes, in this order")
        for dim, size in zip(dims, shape, strict=True):
            if dim.dim_param and known.setdefault(dim.dim_param, size) != size:
                what = f"{printable(dim.dim_param)} is {known[dim.dim_param]} and {size}"
                raise refused(path, what, "pass examples that agree")
            dim.dim_value = size
    if not known:
        return
    for value in (*graph.input, *graph.value_info, *graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in known:
                dim.dim_value = known[dim.dim_param]
            elif dim.dim_param:
                dim.ClearField("dim_param")  # an expression of others: inference finds it again


def _inferred(model: Any) -> Any:
    """The graph with all shapes that ONNX can find; with those of the file where it fails."""
    from onnx.shape_inference import InferenceError, infer_shapes

    for tensor in _tensors(model.graph):
        if prod(tensor.dims) > LARGEST_VALUE:
            for field in ("raw_data", "float_data", "int32_data", "int64_data", "double_data"):
                tensor.ClearField(field)
    try:
        graph = infer_shapes(model, data_prop=True).graph
    except (InferenceError, RuntimeError, ValueError):
        graph = model.graph
    return graph


def _tensors(graph: Any) -> Iterable[Any]:
    """The dense tensors that a graph carries, as initialisers and as constants."""
    yield from graph.initializer
    for node in graph.node:
        yield from (a.t for a in node.attribute if a.HasField("t"))
