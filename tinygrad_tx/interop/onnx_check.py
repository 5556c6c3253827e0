"""An exported file run by onnxruntime beside the function that it came from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_tx.errors import OnnxError, explain
from tinygrad_tx.interop.foreign import printable
from tinygrad_tx.runtime.buffer import Array
from tinygrad_tx.tensor import Tensor, no_grad, tensor
from tinygrad_tx.tree import flatten

__all__ = ["compare_onnx", "run_onnx"]


def run_onnx(path: str | Path, inputs: Sequence[Any]) -> list[Array]:
    """What onnxruntime computes of the file at `path`, on the CPU. None: an input left out.

    Errors: OnnxError where it is not installed, or cannot run the file.
    """
    path = Path(path)
    try:
        import onnxruntime
    except ImportError:
        remedy = "pip install onnxruntime"
        what = f"running {path.name} needs the package onnxruntime"
        raise OnnxError(explain("onnx", what, remedy=remedy)) from None
    try:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what goes wrong is said below
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        names = [i.name for i in session.get_inputs()]
        given = [np.asarray(i) for i in inputs if i is not None]
        if len(given) != len(names):
            what = f"{path.name} takes {', '.join(names)}; got {len(given)} inputs"
            raise OnnxError(explain("onnx", what))
        return [np.asarray(v) for v in session.run(None, dict(zip(names, given, strict=True)))]
    except OnnxError:
        raise
    except Exception as error:  # its own classes, one for each status, with no common base
        message = printable(str(error), 300)
        raise OnnxError(explain("onnx", f"onnxruntime: {path.name}: {message}")) from None


def compare_onnx(path: str | Path, function: Callable[..., Any], inputs: Sequence[Any]) -> float:
    """The largest difference between the file and `function` on `inputs`.

    Relative to the largest number of each result; infinity where shapes or NaNs differ.
    Errors: OnnxError.
    """
    found = run_onnx(path, inputs)
    with no_grad():
        tensors = [None if i is None else tensor(i) for i in inputs]
        results, _ = flatten(function(*tensors), lambda v: isinstance(v, Tensor))
    if len(found) != len(results):
        return float("inf")
    return max(_difference(a, t.numpy()) for a, t in zip(found, results, strict=True))


def _difference(found: Array, wanted: Array) -> float:
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        return float("inf")
    a, b = found.astype(np.float64), wanted.astype(np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))  # infinities and NaNs too
    if same.all():
        return 0.0
    largest = np.max(np.abs(b), initial=0, where=np.isfinite(b))
    gap = np.where(same, 0, a - b)
    return float(np.max(np.abs(gap)) / largest) if np.isfinite(gap).all() and largest else np.inf
