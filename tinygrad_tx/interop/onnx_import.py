"""An ONNX file as a module of ours: it runs, and is trained, drawn and looked into like any other.

Flow: onnx_file reads and checks the graph, onnx_weights its numbers; the table in onnx_reading has
a meaning for each operator. What follows from shapes and constants alone, as the chains of Shape,
Gather and Concat that exporters write, is computed at once when the module is called.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_tx.capture import outside
from tinygrad_tx.dtypes import DType, is_float
from tinygrad_tx.errors import DTypeError, OnnxError, ShapeError, TinygradTxError, explain
from tinygrad_tx.graph.place import current_scope, scope
from tinygrad_tx.interop.foreign import printable, scope_of
from tinygrad_tx.interop.onnx_file import OnnxFile, load_whole, refused
from tinygrad_tx.interop.onnx_functions import subgraphs_of
from tinygrad_tx.interop.onnx_names import kinds_around, scope_of_node
from tinygrad_tx.interop.onnx_reading import MEANINGS, MOST_ELEMENTS, Call, Value
from tinygrad_tx.interop.onnx_weights import array_of
from tinygrad_tx.interop.onnx_writing import FIXED, POINT
from tinygrad_tx.nn.module import Module
from tinygrad_tx.nn.points import BETWEEN, INSIDE
from tinygrad_tx.runtime.buffer import Array
from tinygrad_tx.tensor import Tensor, no_grad, point, tensor
from tinygrad_tx.tensor.tensor import as_tensor

__all__ = ["OnnxModule", "import_onnx"]

LOWEST_OPSET = 13
"""Axes are inputs and Softmax works along one axis from here on."""

KNOWN_ELEMENTS = 65_536
"""Of a value that is kept as numbers: masks and tables of places; larger ones are computed."""

DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True)
class Input:
    """dims: a fixed size, the name of an open one, or empty where anything fits."""

    name: str
    dtype: DType
    dims: tuple[int | str, ...] | None


@dataclass(frozen=True)
class _Step:
    """A node, ready to be computed. points: paths of the points that its result is."""

    op_type: str
    title: str
    attrs: Mapping[str, Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    wanted: tuple[bool, ...]
    scope: str
    points: tuple[str, ...]


def import_onnx(path: str | Path) -> OnnxModule:
    """The graph in an ONNX file as a module: `module(*inputs)`, or by name.

    Weights are parameters under the names of the file, in parts named by their paths: any float
    tensor with an axis that the file stores as an initialiser, except single numbers and what
    `export_onnx` noted as not trained. Constants in nodes are fixed. Shapes are those of the call.
    The operators that are known are listed in docs/onnx.md. Errors: OnnxError where the file cannot
    be read, where it needs an operator that is not known here (it names them), or where one is
    asked for what is not known; then what and in which node.
    """
    return OnnxModule(load_whole(path))


class OnnxModule(Module):
    """A module that an ONNX file described. inputs, outputs: in order, as the file has them."""

    def __init__(self, file: OnnxFile) -> None:
        super().__init__()
        self._file, self._path = file.path, file.path.name
        self.title = printable(file.path.stem)
        self._check_opset(file)
        self._claimed: dict[Path, int] = {}
        self._weights: dict[str, tuple[Module, str]] = {}
        self._fixed: dict[str, Value] = {}
        self._remembered: dict[int, tuple[Any, tuple[Value, ...]]] = {}
        self._kinds = {p: k for node in file.nodes for p, k in kinds_around(node).items()}
        self._reserved = frozenset((*dir(type(self)), *vars(self), "inputs", "outputs", "_steps"))
        for name, stored in file.initializers:
            self._store(name, stored)
        self.inputs = tuple(
            _input_of(v, file.path)
            for v in file.graph.input
            if v.name not in self._weights and v.name not in self._fixed
        )
        self.outputs = tuple(o.name for o in file.graph.output)
        self._steps = self._read(file)

    @property
    def input_names(self) -> tuple[str, ...]:
        """What a drawing calls the inputs."""
        return tuple(printable(i.name) for i in self.inputs)

    # Reading

    def _check_opset(self, file: OnnxFile) -> None:
        found = file.opsets.get("", 0)
        if found < LOWEST_OPSET:
            what = f"opset {found} is older than {LOWEST_OPSET}, from which on it is read"
            raise refused(file.path, what, "convert it with onnx.version_converter")

    def _read(self, file: OnnxFile) -> tuple[_Step, ...]:
        """The nodes, once all of their operators are known to be known."""
        missing: dict[str, str] = {}
        for node in file.nodes:
            word = node.op_type if node.domain in DOMAINS else f"{node.domain}::{node.op_type}"
            if (
                node.domain not in DOMAINS
                or node.op_type not in MEANINGS
                or any(subgraphs_of(node))
            ):
                missing.setdefault(printable(word), printable(node.name))
        if missing:
            listed = ", ".join(
                f"{op} (node {name})" if name else op for op, name in missing.items()
            )
            what = f"no operator here means {printable(listed, 400)}"
            raise refused(file.path, what, "docs/onnx.md lists those that are known")
        read = {name for node in file.nodes for name in node.input} | set(self.outputs)
        for path in self._kinds:
            self._part(path.split("."))
        steps = (self._step(node, read) for node in file.nodes)
        return tuple(step for step in steps if step is not None)

    def _step(self, node: Any, read: set[str]) -> _Step | None:
        from onnx.helper import get_attribute_value

        title = printable(f"{node.op_type} {node.name}".strip())
        try:
            attrs = {a.name: get_attribute_value(a) for a in node.attribute}
        except (ValueError, TypeError) as error:
            raise refused(self._file, f"{title}: {printable(str(error), 120)}") from None
        if node.op_type == "Constant" and "value" in attrs:
            if not hasattr(attrs["value"], "data_type") or len(node.output) != 1:
                raise refused(self._file, f"{title}: its value is no tensor")
            self._fixed[node.output[0]] = _known(
                array_of(attrs["value"], self._file, self._claimed)
            )
            return None
        notes = {p.key: p.value for p in node.metadata_props}
        wanted = tuple(name in read for name in node.output)
        where = scope_of(scope_of_node(node))
        points = tuple(notes.get(POINT, "")[:2000].split())
        return _Step(
            node.op_type, title, attrs, tuple(node.input), tuple(node.output), wanted, where, points
        )

    def _store(self, name: str, stored: Any) -> None:
        """A tensor of the file: a parameter, or numbers that stay as they are."""
        if hasattr(stored, "values"):
            what = f"tensor {printable(stored.values.name)!r} is sparse, which is not known here"
            raise refused(self._file, what)
        array = array_of(stored, self._file, self._claimed)
        path = scope_of(name) if "::" not in name else printable(name).replace(".", "·")
        is_number = array.ndim == 0 or (array.size == 1 and "." not in path)
        trained = is_float(array.dtype) and array.dtype.itemsize >= 4
        if is_number or not trained or stored.doc_string == FIXED:
            self._fixed[name] = _known(array)
            return
        *parts, word = path.split(".") if path else ["weight"]
        owner = self._part(parts)
        word = _free(word, owner, self._reserved)
        setattr(owner, word, tensor(array, requires_grad=True))
        self._weights[name] = (owner, word)

    def _part(self, words: Sequence[str]) -> Module:
        """The part at this path, made where there is none."""
        found: Module = self
        for level, word in enumerate(words, 1):
            inner = vars(found).get(word)
            if not isinstance(inner, Module):
                inner = _class_of(self._kinds.get(".".join(words[:level]), ""))()
                word = _free(word, found, self._reserved)
                setattr(found, word, inner)
            found = inner
        return found

    # Running

    def forward(self, *inputs: Any, **named: Any) -> Any:
        values: dict[str, Value] = {**self._bound(inputs, named), **self._fixed}
        for name, (owner, word) in self._weights.items():
            values[name] = getattr(owner, word)
        around = current_scope()
        for number, step in enumerate(self._steps):
            with scope(".".join(p for p in (around, step.scope) if p)):
                found = self._computed(number, step, values)
            values |= dict(zip(step.outputs, found, strict=False))
        results = tuple(as_tensor(values[name]) for name in self.outputs)
        return results[0] if len(results) == 1 else results

    def _bound(self, inputs: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Value]:
        """The inputs by name, checked."""
        names = [i.name for i in self.inputs]
        given = dict(zip(names, inputs, strict=False)) | dict(named)
        if sorted(given) != sorted(names) or len(inputs) + len(named) != len(names):
            what = f"takes {', '.join(map(printable, names))}; got {len(inputs)} in order"
            what += f" and {', '.join(named)} by name" if named else ""
            raise OnnxError(explain("onnx", f"{printable(self._path)} {what}"))
        sizes: dict[str, int] = {}
        return {i.name: _fitting(i, given[i.name], sizes) for i in self.inputs}

    def _computed(self, number: int, step: _Step, values: Mapping[str, Value]) -> tuple[Value, ...]:
        """The results of a step; from known values, as numbers."""
        given = [values[name] if name else None for name in step.inputs]
        if any(isinstance(v, Tensor) for v in given):
            return self._marked(step, self._run(step, given))
        arrays = [None if v is None else np.asarray(v) for v in given]
        key = tuple(a if a is None else (a.shape, a.dtype.str, a.tobytes()) for a in arrays)
        before = self._remembered.get(number)
        if before is not None and before[0] == key:
            return before[1]
        with outside(), no_grad():
            found = self._run(step, given)
            small = all(f.size <= KNOWN_ELEMENTS for f in found)
            if small:
                results = tuple(f.numpy() if isinstance(f, Tensor) else f for f in found)
                self._remembered[number] = (key, results)
                return results
        return self._run(step, given)

    def _run(self, step: _Step, given: Sequence[Value | None]) -> tuple[Value, ...]:
        """Errors: OnnxError that names the node."""
        call = Call(step.op_type, dict(step.attrs), given, self._file, step.wanted)
        try:
            result = MEANINGS[step.op_type](call)
            call.check_all_seen()
        except _FAULTS as error:
            message = str(error).rstrip(".") or type(error).__name__
            what = f"{printable(self._path)}: {step.title}: {printable(message, 600)}"
            raise OnnxError(explain("onnx", what)) from error
        found: tuple[Value, ...] = result if isinstance(result, tuple) else (result,)
        if any(f.size > MOST_ELEMENTS for f in found):
            what = f"{printable(self._path)}: {step.title}: a result of {found[0].shape}"
            raise OnnxError(explain("onnx", what, remedy="no memory holds it"))
        if any(step.wanted[len(found) :]):
            what = (
                f"{printable(self._path)}: {step.title}: result {len(found)} is not computed here"
            )
            raise OnnxError(explain("onnx", what))
        return found

    def _marked(self, step: _Step, found: tuple[Value, ...]) -> tuple[Value, ...]:
        """The first result as the points that `export_onnx` noted."""
        value = found[0]
        for path in step.points:
            where, _, name = path.rpartition(".")
            axes = BETWEEN.get(name) or INSIDE.get(name)
            if axes is not None and isinstance(value, Tensor) and len(axes) <= value.ndim:
                with scope(where):
                    value = point(value, name, axes)
        return (value, *found[1:])


_FAULTS: tuple[type[Exception], ...] = (
    TinygradTxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    ArithmeticError,
    MemoryError,
)
"""What a damaged node may lead to in a function that expects a sound one."""


def _known(array: Array) -> Value:
    """Numbers that shapes may follow from, or, where they are many, a tensor."""
    return array if array.size <= KNOWN_ELEMENTS else tensor(array)


def _class_of(kind: str) -> type[Module]:
    """A class for the parts that the file calls `kind`: drawings show its name."""
    name = re.sub(r"\W", "", kind)
    return type(name, (Module,), {}) if name else Module


def _free(word: str, owner: Module, reserved: frozenset[str]) -> str:
    """`word`, unless a module has that name for something else."""
    found = word
    while found in reserved or found in vars(owner):
        found += "_"
    return found


def _input_of(value: Any, path: Path) -> Input:
    from onnx.helper import tensor_dtype_to_np_dtype

    kind = value.type.tensor_type
    try:
        dtype = np.dtype(tensor_dtype_to_np_dtype(kind.elem_type))
    except (KeyError, TypeError, ValueError):
        raise refused(path, f"input {printable(value.name)!r} is no tensor of numbers") from None
    if not kind.HasField("shape"):
        return Input(value.name, dtype, None)
    dims = [d.dim_value if d.HasField("dim_value") else d.dim_param for d in kind.shape.dim]
    return Input(value.name, dtype, tuple(dims))


def _fitting(wanted: Input, given: Any, sizes: dict[str, int]) -> Tensor:
    """An argument as the file declares it; of the same kind of numbers it is converted."""
    value = as_tensor(given)
    name = printable(wanted.name)
    if value.dtype != wanted.dtype:
        if value.dtype.kind != wanted.dtype.kind:
            what = f"input {name!r} is {value.dtype}, not {wanted.dtype}"
            raise DTypeError(explain("onnx", what, remedy="convert it with astype"))
        value = value.astype(wanted.dtype)
    dims = wanted.dims
    if dims is None:
        return value
    fits = len(dims) == value.ndim and all(
        sizes.setdefault(d, n) == n if isinstance(d, str) and d else d in ("", n)
        for d, n in zip(dims, value.shape, strict=True)
    )
    if not fits:
        shown = " x ".join(printable(str(d)) or "?" for d in dims)
        what = f"input {name!r} is {value.shape}, not {shown}"
        raise ShapeError(explain("onnx", what, remedy="equal names are equal sizes"))
    return value
