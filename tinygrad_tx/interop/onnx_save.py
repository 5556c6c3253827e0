"""An exported graph as a file: built with ONNX's own helpers, checked, then moved into place."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tinygrad_tx import __version__
from tinygrad_tx.dtypes import DType
from tinygrad_tx.errors import OnnxError, explain
from tinygrad_tx.files import write_whole
from tinygrad_tx.interop.onnx_sizes import Dim, Size
from tinygrad_tx.interop.onnx_trace import OpenNode
from tinygrad_tx.interop.onnx_writing import FIXED, Writer, onnx_dtype
from tinygrad_tx.runtime.buffer import Array

__all__ = ["INLINE_BYTES", "needs_onnx", "save"]

INLINE_BYTES = 1_800_000_000
"""Weights that still lie in the file itself: protobuf holds 2^31 - 1 bytes of all."""

ALIGNMENT = 64  # of each tensor in a file of weights: readers map it into memory

SMALL_BYTES = 1024
"""Of tensors that stay in the file in any case: shapes are inferred through them."""

Typed = Mapping[str, tuple[tuple[Dim, ...], DType]]


def needs_onnx(path: Path) -> None:
    """Errors: OnnxError where the package onnx is missing."""
    try:
        import onnx  # noqa: F401
    except ImportError:
        what = f"writing {path.name} needs the package onnx"
        remedy = "pip install 'tinygrad-tx[interop]'"
        raise OnnxError(explain("onnx", what, remedy=remedy)) from None


def save(
    path: Path,
    writer: Writer,
    inputs: Typed,
    names: Sequence[str],
    outputs: Sequence[OpenNode],
    external: bool | None,
) -> Path | None:
    """Writes the file, and one of weights beside it where asked or needed; gives that one's path.

    The file of weights is named by its content, so that an older model beside it stays whole.
    Errors: OnnxError where ONNX's checker refuses the graph; OSError. Then `path` is as it was.
    """
    from onnx import helper

    bound = _bound(writer, names, outputs)
    large = sum(w.nbytes for w in writer.weights.values()) > INLINE_BYTES
    is_apart = large if external is None else external or large
    results = {n: (o.shape, o.dtype) for n, o in zip(names, outputs, strict=True)}
    known = {n: v for n, v in writer.shapes.items() if n not in (*inputs, *bound, *writer.weights)}
    graph = helper.make_graph(
        writer.nodes,
        path.stem,
        [_value(n, *v) for n, v in inputs.items()],
        [_value(n, *v) for n, v in results.items()],
        value_info=[_value(n, *v) for n, v in known.items()],
    )
    opset = helper.make_opsetid("", writer.opset)
    version = helper.find_min_ir_version_for([opset], ignore_unknown=True)
    made = helper.make_model(
        graph,
        opset_imports=[opset],
        ir_version=version,
        producer_name="tinygrad-tx",
        producer_version=__version__,
    )
    _check(made, writer.weights, path)
    apart = {n: w for n, w in writer.weights.items() if is_apart and w.nbytes > SMALL_BYTES}
    weights = _beside(path, apart) if apart else None
    at = 0
    for name, array in writer.weights.items():
        tensor = made.graph.initializer.add(
            name=name, dims=array.shape, data_type=onnx_dtype(array.dtype)
        )
        if name in writer.fixed:
            tensor.doc_string = FIXED
        if weights is None or name not in apart:
            tensor.raw_data = array.tobytes()
            continue
        at += -at % ALIGNMENT
        tensor.data_location = tensor.EXTERNAL
        for key, value in (("location", weights.name), ("offset", at), ("length", array.nbytes)):
            tensor.external_data.add(key=key, value=str(value))
        at += array.nbytes
    write_whole(path, made.SerializeToString())
    return weights


def _bound(writer: Writer, names: Sequence[str], outputs: Sequence[OpenNode]) -> dict[str, str]:
    """Gives the results their names in the graph; those that have one already are passed on."""
    made = {o for node in writer.nodes for o in node.output}
    bound: dict[str, str] = {}
    for name, output in zip(names, outputs, strict=True):
        (found,) = writer.values[output]
        if found in made and found not in bound:
            bound[found] = name
        else:
            writer.pass_on(bound.get(found, found), name)
    for node in writer.nodes:
        for field in (node.input, node.output):
            field[:] = [bound.get(n, n) for n in field]
    return bound


def _value(name: str, shape: Sequence[Dim], dtype: DType) -> Any:
    from onnx import helper

    dims = [str(d) if isinstance(d, Size) else d for d in shape]
    return helper.make_tensor_value_info(name, onnx_dtype(dtype), dims)


def _check(made: Any, weights: Mapping[str, Array], path: Path) -> None:
    """ONNX's checker and its inference of shapes, against ours; weights stand as inputs."""
    from onnx import checker, shape_inference

    whole = type(made)()
    whole.CopyFrom(made)
    for name, array in weights.items():
        small = array.size <= 64
        if small:  # shapes are inferred through these
            tensor = whole.graph.initializer.add(
                name=name, dims=array.shape, data_type=onnx_dtype(array.dtype)
            )
            tensor.raw_data = array.tobytes()
        else:
            whole.graph.input.append(_value(name, array.shape, array.dtype))
    try:
        checker.check_model(whole)
        shape_inference.infer_shapes(whole, check_type=True, strict_mode=True, data_prop=True)
    except (checker.ValidationError, shape_inference.InferenceError) as error:
        what = f"{path.name}: ONNX refuses the graph: {str(error).strip().splitlines()[0]}"
        raise OnnxError(explain("onnx", what, remedy="this is a fault of the exporter")) from error


def _beside(path: Path, weights: Mapping[str, Array]) -> Path:
    """All weights in one file."""
    digest = hashlib.sha256()
    for part in _parts(weights):
        digest.update(part)
    found = path.with_name(f"{path.stem}-{digest.hexdigest()[:12]}.weights")
    write_whole(found, _parts(weights))
    return found


def _parts(weights: Mapping[str, Array]) -> Iterator[bytes | memoryview]:
    at = 0
    for array in weights.values():
        yield bytes(-at % ALIGNMENT)
        at += -at % ALIGNMENT + array.nbytes
        yield array.data.cast("B")
