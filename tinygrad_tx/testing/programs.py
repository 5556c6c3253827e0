"""Whole-graph checks: every way in which a graph can be run must give the same values.

The truth is the graph itself, node by node, each by its NumPy form or its expansion. Against it
stand the planned Program outside of jit, the Program with generated kernels, each optional pass
left out, and one thread against two (which must agree bit for bit).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import numpy as np

from tinygrad_tx.autodiff import reverse
from tinygrad_tx.autodiff.expansion import open_where
from tinygrad_tx.compiler.pipeline import compile_graph, optional
from tinygrad_tx.config import config
from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.walk import collect, substitute
from tinygrad_tx.runtime.buffer import Buffer, aligned
from tinygrad_tx.runtime.evaluate import slot_leaf
from tinygrad_tx.runtime.execute import Executable
from tinygrad_tx.testing.report import Failure, GradientError, Report, finished
from tinygrad_tx.testing.subjects import Array, TensorSubject

__all__ = [
    "check_program",
    "compare",
    "failed",
    "node_by_node",
    "run_program",
    "size_of_values",
]

BOUNDS = {"float64": 1e-9, "float32": 2e-4}
"""Largest error, relative to the largest magnitude of a result."""


def check_program(
    function: Callable[..., Any],
    inputs: Sequence[Any],
    *,
    dtypes: Sequence[str] = ("float64", "float32"),
    gradients: bool = True,
    name: str = "",
) -> Report:
    """Checks that all ways of running `function` and its gradient agree. Errors: GradientError."""
    started = time.perf_counter()
    subject = TensorSubject(function, name)
    report = Report(subject.name)
    truths: list[Array] | None = None
    for dtype in dtypes:
        arrays = [np.asarray(a) for a in inputs]
        arrays = [a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays]
        leaves, outputs = subject.traced(arrays)
        if gradients:
            outputs = outputs + _gradients(leaves, outputs)
        truths = node_by_node(outputs) if truths is None else truths
        for way, values in _ways(outputs):
            report.samples += 1
            report.count(way)
            _compare(f"{way}, {dtype}", values, truths, BOUNDS[dtype], report)
        _check_threads(outputs, report)
    report.seconds = time.perf_counter() - started
    finished.append(report)
    return report


def _gradients(leaves: Sequence[Node], outputs: Sequence[Node]) -> list[Node]:
    rng = np.random.default_rng(0)
    real = [o for o in outputs if o.dtype.kind == "f"]
    wanted = [leaf for leaf in leaves if leaf.dtype.kind == "f"]
    seeds = [Buffer.of(rng.normal(size=o.shape), o.dtype).leaf for o in real]
    return [g for g in reverse(real, seeds, wanted) if g is not None]


def node_by_node(outputs: Sequence[Node]) -> list[Array]:
    """The values by the plain meaning of each node: no plan, no fusion, no kernel."""
    graph = open_where(outputs, (), lambda n: n.op.reference is None and n.op.ufunc is None)
    values: dict[Node, Any] = {}
    for node in collect(graph):
        values[node] = _plain(node, [values[i] for i in node.inputs])
    return [np.asarray(values[o]) for o in graph]


def _plain(node: Node, inputs: list[Any]) -> Any:
    if node.op.name == "buffer":
        return node.attrs["buffer"].array
    if node.op.name == "part":
        return inputs[0][node.attrs["index"]]
    function = node.op.ufunc or node.op.reference
    assert function is not None, f"{node.op.name} has no plain form"
    attrs = {} if node.op.ufunc else dict(node.attrs)
    with np.errstate(all="ignore"):
        return function(*inputs, **attrs)


def run_program(
    outputs: Sequence[Node], generate: bool, without: frozenset[str] = frozenset()
) -> list[Array]:
    """The values by a Program, with some passes left out."""
    leaves = [n for n in collect(outputs) if n.op.name == "buffer"]
    slots = [slot_leaf(leaf.aval, i) for i, leaf in enumerate(leaves)]
    graph = substitute(outputs, dict(zip(leaves, slots, strict=True)))
    program = compile_graph(graph, (), slots, generate, without)
    arrays = []
    for leaf in leaves:
        source = leaf.attrs["buffer"].array
        arrays.append(aligned(source.shape, source.dtype))
        arrays[-1][...] = source
    return Executable(program).run(arrays)


def _ways(outputs: Sequence[Node]) -> Iterator[tuple[str, list[Array]]]:
    yield "planned", run_program(outputs, generate=False)
    yield "generated", run_program(outputs, generate=True)
    for name in optional():
        yield f"without {name}", run_program(outputs, True, frozenset([name]))


def _check_threads(outputs: Sequence[Node], report: Report) -> None:
    found = []
    for count in (1, 2):
        with _threads(count):
            found.append(run_program(outputs, generate=True))
    report.count("threads")
    for one, two in zip(*found, strict=True):
        if one.tobytes() != two.tobytes():
            at = int(np.flatnonzero(one.reshape(-1) != two.reshape(-1))[0])
            values = float(one.reshape(-1)[at]), float(two.reshape(-1)[at])
            failed(report, "two threads against one", *values, f"element {at}")


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    before, config.threads = config.threads, count
    try:
        yield
    finally:
        config.threads = before


def _compare(
    way: str, values: list[Array], truths: list[Array], bound: float, report: Report
) -> None:
    for i, (value, truth) in enumerate(zip(values, truths, strict=True)):
        compare(report, way, i, value, truth, bound * max(size_of_values(truth), 1e-30))


def size_of_values(array: Array) -> float:
    """The largest finite magnitude; 0 if there is none."""
    values = np.abs(np.asarray(array, np.float64))
    return float(values[np.isfinite(values)].max(initial=0.0))


def compare(
    report: Report, check: str, i: int, got: Array, expected: Array, allowed: float
) -> None:
    """Result `i` against the truth; NaN and infinity must be the same. Errors: GradientError."""
    left, right = np.asarray(got, np.float64), np.asarray(expected, np.float64)
    if left.shape != right.shape:
        what = f"{check}: result {i} has shape {left.shape}, not {right.shape}"
        failed(report, what, right.size, left.size, "")
    with np.errstate(all="ignore"):
        off = np.abs(left - right)
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    off = np.where(same, 0.0, np.where(np.isnan(off), np.inf, off))
    worst = float(off.max(initial=0.0))
    report.worst = max(report.worst, min(worst / max(allowed, 1e-300), 1e9))
    if worst > allowed:
        at = np.unravel_index(int(off.argmax()), off.shape)
        where = f"result {i}, element {tuple(int(k) for k in at)}"
        failed(report, check, float(right[at]), float(left[at]), where)


def failed(report: Report, check: str, expected: float, got: float, where: str) -> NoReturn:
    """Raises GradientError for one disagreement."""
    raise GradientError(report, Failure(check, expected, got, where))
