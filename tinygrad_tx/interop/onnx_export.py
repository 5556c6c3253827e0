"""Our graphs as ONNX files: recorded, opened where ONNX has no word, written by a table, checked.

Flow: onnx_trace records the function (at several sizes, where some stay open), the table in
onnx_writing says each operator, and the file is checked by ONNX before it is moved into place.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_tx.autodiff.expansion import open_where
from tinygrad_tx.dtypes import as_dtype
from tinygrad_tx.errors import OnnxError, TinygradTxError, explain
from tinygrad_tx.graph.node import Aval, Node
from tinygrad_tx.graph.walk import collect
from tinygrad_tx.interop.onnx_save import needs_onnx, save
from tinygrad_tx.interop.onnx_sizes import Dim, Size, dims_text, sizes_to_try
from tinygrad_tx.interop.onnx_trace import LEFT_OUT, OpenNode, Recorded, recorded, unified
from tinygrad_tx.interop.onnx_writing import LOWEST_OPSET, RULES, Writer, serves
from tinygrad_tx.nn.module import Module
from tinygrad_tx.tensor import Tensor

__all__ = ["DEFAULT_OPSET", "Exported", "export_onnx"]

DEFAULT_OPSET = 23
"""The first with attention and RMS normalisation as operators."""

ATTEMPTS = 4
MOST_SHOWN = 4

Names = Sequence[str | None]


@dataclass(frozen=True)
class Exported:
    """What was written. inputs, outputs: name -> shape, in which open sizes are words.

    open_sizes: what may differ from call to call. recordings: at how many sizes the function was
    recorded to prove it. weights: the file that holds them, where they do not lie in `path`.
    """

    path: Path
    inputs: Mapping[str, tuple[Dim, ...]]
    outputs: Mapping[str, tuple[Dim, ...]]
    open_sizes: tuple[str, ...]
    recordings: int
    nodes: int
    parameters: int
    weights: Path | None

    def __str__(self) -> str:
        ends = " -> ".join(_listed(end) for end in (self.inputs, self.outputs))
        return f"{self.path.name}: {ends}; {self.nodes:,} nodes"


def _listed(end: Mapping[str, tuple[Dim, ...]]) -> str:
    """The first inputs or outputs with their shapes."""
    shown = [f"{name} ({dims_text(shape)})" for name, shape in list(end.items())[:MOST_SHOWN]]
    more = len(end) - len(shown)
    return ", ".join([*shown, *([f"{more} more"] if more else [])])


def export_onnx(
    model: Module | Callable[..., Any],
    inputs: Sequence[Any],
    path: str | Path,
    *,
    dynamic: Names | Mapping[str, Names] = (),
    opset: int = DEFAULT_OPSET,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    module: Module | None = None,
    external: bool | None = None,
) -> Exported:
    """Writes a module's forward pass, or a function of tensors, as an ONNX file.

    inputs: example arrays, of which shapes and dtypes count; None for an argument left out.
    dynamic: names for the axes that stay open, from the first axis of each input on, or for each
    input by its name; equal names are equal sizes. An open size is proven, not assumed: the
    function is recorded at several sizes, which must agree in all that is not a size. The example
    bounds what is tried, so give the longest that the model takes. A module is exported as in
    `eval()`. output_names: as the results come. module: whose parameters a function reads, for
    their names. external: weights in a file beside `path`; if not given, only where they need one.
    Errors: OnnxError for what ONNX cannot say (random numbers, a function of NumPy arrays) or what
    depends on an open size in another way; then nothing is written.
    """
    path = Path(path)
    needs_onnx(path)
    _check_opset(opset)
    function, owner = _function_of(model, module)
    given = [None if i is None else _aval_of(i) for i in inputs]
    names = _input_names(function, given, input_names)
    axes = _open_axes(names, given, dynamic)
    with _not_training(owner):
        recordings, sizes = _recordings(function, given, axes, opset)
    leaves, outputs = unified(recordings, sizes)
    writer = Writer(opset, _paths(owner), _kinds(owner))
    for name in names:
        writer.name(name)
    results = _output_names(writer, outputs, names, output_names)  # before others take them
    _write(writer, leaves, outputs, names, axes)
    shapes = {n: _shape(a, o) for n, a, o in zip(names, given, axes, strict=True) if a is not None}
    weights = save(path, writer, _typed(shapes, names, given), results, outputs, external)
    return Exported(
        path,
        shapes,
        {n: o.shape for n, o in zip(results, outputs, strict=True)},
        tuple(dict.fromkeys(n for row in axes for n in row if n)),
        len(recordings),
        len(writer.nodes),
        sum(w.size for n, w in writer.weights.items() if n not in writer.fixed),
        weights,
    )


def _check_opset(opset: int) -> None:
    from onnx.defs import onnx_opset_version

    highest = onnx_opset_version()
    if not LOWEST_OPSET <= opset <= highest:
        what = f"opset {opset} is not {LOWEST_OPSET} to {highest}, which can be written here"
        raise OnnxError(explain("onnx", what))


def _function_of(
    model: Module | Callable[..., Any], module: Module | None
) -> tuple[Callable[..., Any], Module | None]:
    """What is recorded, and the module whose parameters it reads."""
    if isinstance(model, Module):
        return model, model
    owner = getattr(model, "__self__", None)
    return model, module or (owner if isinstance(owner, Module) else None)


@contextmanager
def _not_training(owner: Module | None) -> Iterator[None]:
    """Each part as in `eval()` inside, and as it was afterwards."""
    parts = [] if owner is None else [m for _, m in owner.named_modules()]
    before = [m.training for m in parts]
    try:
        for module in parts:
            module.training = False
        yield
    finally:
        for module, mode in zip(parts, before, strict=True):
            module.training = mode


def _aval_of(value: Any) -> Aval:
    """Errors: DTypeError."""
    if isinstance(value, Tensor):
        return Aval(value.shape, value.dtype)
    array = np.asarray(value)
    return Aval(array.shape, as_dtype(array.dtype))


def _input_names(
    function: Callable[..., Any], given: Sequence[Aval | None], asked: Sequence[str] | None
) -> list[str]:
    """As asked, or those of the parameters."""
    if asked is not None:
        names = list(asked)
    else:
        target = function.forward if isinstance(function, Module) else function
        try:
            found = inspect.signature(target).parameters.values()
            kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
            names = [p.name for p in found if p.kind in kinds][: len(given)]
        except (TypeError, ValueError):
            names = []
        names += [f"input_{i}" for i in range(len(names), len(given))]
    if len(names) != len(given) or len(set(names)) != len(names):
        what = f"input_names {names} are not {len(given)} different names"
        raise OnnxError(explain("onnx", what))
    return names


def _open_axes(
    names: Sequence[str], given: Sequence[Aval | None], dynamic: Names | Mapping[str, Names]
) -> list[list[str | None]]:
    """For each input the names of its open axes, None for those that are fixed."""
    if isinstance(dynamic, str):
        raise OnnxError(explain("onnx", f"dynamic is {dynamic!r}", remedy="pass a tuple of names"))
    if isinstance(dynamic, Mapping):
        unknown = [n for n in dynamic if n not in names]
        if unknown:
            what = f"dynamic names {', '.join(unknown)}, the inputs are {', '.join(names)}"
            raise OnnxError(explain("onnx", what))
    rows = []
    for name, aval in zip(names, given, strict=True):
        wanted = dynamic.get(name, ()) if isinstance(dynamic, Mapping) else dynamic
        rank = 0 if aval is None else len(aval.shape)
        if isinstance(dynamic, Mapping) and len(wanted) > rank:
            what = f"dynamic gives {len(wanted)} names to {name}, which has {rank} axes"
            raise OnnxError(explain("onnx", what))
        row = list(wanted)[:rank]
        rows.append(row + [None] * (rank - len(row)))
    return rows


def _examples(names: Sequence[list[str | None]], given: Sequence[Aval | None]) -> dict[str, int]:
    """The size of each open axis in the examples."""
    found: dict[str, int] = {}
    for row, aval in zip(names, given, strict=True):
        for name, size in zip(row, () if aval is None else aval.shape, strict=True):
            if name and found.setdefault(name, size) != size:
                what = f"{name} is {found[name]} in one example input and {size} in another"
                remedy = "equal names are equal sizes: use two names, or pass dynamic by input"
                raise OnnxError(explain("onnx", what, remedy=remedy))
    return found


def _recordings(
    function: Callable[..., Any],
    given: Sequence[Aval | None],
    axes: Sequence[list[str | None]],
    opset: int,
) -> tuple[list[Recorded], list[dict[str, int]]]:
    """The function at as many choices of sizes as prove the open ones, ready to be written."""
    examples = _examples(axes, given)
    if not examples:
        return [_opened(recorded(function, given), opset)], [{}]
    taken: set[int] = set()
    failed: TinygradTxError | None = None
    for attempt in range(ATTEMPTS):
        sizes = sizes_to_try(examples, taken, attempt)
        if not sizes:
            what = f"example sizes {examples} are too small to prove what stays open"
            raise OnnxError(explain("onnx", what, remedy="give larger ones, or fewer open names"))
        found = []
        for chosen in sizes:
            avals = [_resized(a, row, chosen) for a, row in zip(given, axes, strict=True)]
            found.append(_opened(recorded(function, avals), opset))
        try:
            unified(found, sizes)
        except OnnxError as bad:
            # A size may have met an equal one by chance: others are tried, unlike those it met.
            failed = failed or bad
            seen = {n for r in found for node in collect(r.outputs) for n in node.shape}
            taken = {n for n in seen if n < max(*examples.values(), 12)} - set(sizes[0].values())
            continue
        return found, sizes
    assert failed is not None
    raise failed


def _resized(aval: Aval | None, row: Sequence[str | None], sizes: Mapping[str, int]) -> Aval | None:
    if aval is None:
        return None
    shape = (sizes[name] if name else n for name, n in zip(row, aval.shape, strict=True))
    return Aval(tuple(shape), aval.dtype)


def _opened(found: Recorded, opset: int) -> Recorded:
    """Composites that the table does not have in this opset replaced by their expansion.

    Errors: OnnxError for an operator that has neither.
    """
    nodes = collect(found.outputs)
    lse = any(
        n.op.name == "part" and n.attrs["index"] and n.inputs[0].op.name == "attention"
        for n in nodes
    )

    def lacks_rule(node: Node) -> bool:
        return not serves(node, opset) or (lse and node.op.name == "attention")

    outputs = open_where(found.outputs, (), lacks_rule)
    for node in collect(outputs):
        known = node.op.name in RULES or node.op.name in (*LEFT_OUT, "buffer", "part")
        if not known:
            remedy = _REMEDIES.get(node.op.name, "")
            what = f"{node.op.name} has no form in ONNX"
            raise OnnxError(explain("onnx", what, made=[("it", node.where)], remedy=remedy))
    return Recorded(found.inputs, outputs)


_REMEDIES = {
    "random_uniform": "random numbers would differ from ours: call eval(), or pass them in",
    "external": "write the function with operators of tinygrad_tx",
}


def _write(
    writer: Writer,
    leaves: Mapping[int, OpenNode],
    outputs: Sequence[OpenNode],
    names: Sequence[str],
    axes: Sequence[list[str | None]],
) -> None:
    for number, leaf in leaves.items():
        writer.values[leaf] = (names[number],)
    order = _order(outputs)
    writer.begin(order[0] if order else outputs[0])
    for name, row in zip(names, axes, strict=True):
        for axis, size in enumerate(row):
            key = Size((((size,), 1),)) if size else None
            if key is not None and key not in writer.sizes:
                writer.sizes[key] = writer.add("Shape", [name], start=axis, end=axis + 1)
    writer.write(order)
    writer.prune([name for o in outputs for name in writer.values[o]])


def _order(outputs: Sequence[OpenNode]) -> list[OpenNode]:
    """Inputs before readers."""
    found: set[OpenNode] = set()
    stack = list(outputs)
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack.extend(node.inputs)
    return sorted(found, key=lambda n: (n.first.serial, bool(n.inputs)))


def _paths(owner: Module | None) -> dict[int, str]:
    """The path of each tensor that a module keeps, by its memory; trained or not."""
    found: dict[int, str] = {}
    for path, module in () if owner is None else owner.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, Tensor) and not isinstance(value._value, Node):
                found.setdefault(id(value.buffer), f"{path}.{name}" if path else name)
    return found


def _kinds(owner: Module | None) -> dict[str, str]:
    if owner is None:
        return {}
    return {path: type(module).__name__ for path, module in owner.named_modules()}


def _shape(aval: Aval, row: Sequence[str | None]) -> tuple[Dim, ...]:
    return tuple(
        Size((((name,), 1),)) if name else n for name, n in zip(row, aval.shape, strict=True)
    )


def _typed(
    shapes: Mapping[str, tuple[Dim, ...]], names: Sequence[str], given: Sequence[Aval | None]
) -> dict[str, tuple[tuple[Dim, ...], Any]]:
    return {n: (shapes[n], a.dtype) for n, a in zip(names, given, strict=True) if a is not None}


def _output_names(
    writer: Writer,
    outputs: Sequence[OpenNode],
    inputs: Sequence[str],
    asked: Sequence[str] | None,
) -> list[str]:
    """As asked; else the point that a result is, or `output`."""
    wanted = list(asked) if asked is not None else [o.first.name or "output" for o in outputs]
    different = len({*wanted, *inputs}) == len(outputs) + len(inputs)
    if asked is not None and (len(asked) != len(outputs) or not different):
        what = f"output_names {wanted} are not {len(outputs)} names unlike those of inputs"
        raise OnnxError(explain("onnx", what))
    return [writer.name(name) for name in wanted]
