"""check_operator: all that its row of samples says about one operator.

forward: planned, generated and expanded forms against float64 NumPy; reverse, forward and
second-order derivatives against differences, at the samples and at copies rounded to halves, where
ties and kinks are; float32 kernels against float64 within the row's tolerance; NaN in, NaN out.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_tx.errors import TinygradTxError
from tinygrad_tx.graph.node import Node, Operator, Sample
from tinygrad_tx.graph.registry import find, operators
from tinygrad_tx.testing.gradcheck import gradcheck
from tinygrad_tx.testing.layouts import LAID_OUT, LAYOUTS
from tinygrad_tx.testing.operators import apply
from tinygrad_tx.testing.programs import (
    compare,
    failed,
    node_by_node,
    run_program,
    size_of_values,
)
from tinygrad_tx.testing.report import CheckInputError, Report, finished
from tinygrad_tx.testing.subjects import Array, TensorSubject

__all__ = ["check_operator", "checked_operators", "structural"]

LAYOUT_KERNELS = ("add", "tanh", "where", "greater")

_NO_DERIVATIVE = {"stop_gradient"}
"""Operators that are meant to be constant for differentiation."""


def structural(op: Operator) -> bool:
    """Whether an operator only holds a graph together and needs no row."""
    return op.name in {"barrier", "buffer", "call", "constant", "external", "fused", "part"}


def checked_operators() -> list[Operator]:
    """Every operator with a row. Errors: CheckInputError for one that should have a row."""
    missing = [op.name for op in operators() if op.row is None and not structural(op)]
    if missing:
        raise CheckInputError(f"operators without a row of samples: {', '.join(missing)}.")
    return [op for op in operators() if op.row is not None]


def check_operator(operator: Operator | str, *, seed: int = 7, order: int = 2) -> Report:
    """Runs every check on every sample of the operator's row. Errors: GradientError."""
    op = find(operator) if isinstance(operator, str) else operator
    if op.row is None:
        raise CheckInputError(f"{op.name}: it has no row of samples.")
    started = time.perf_counter()
    report = Report(op.name)
    mark = len(finished)
    for sample in _samples(op, seed):
        _check_values(op, sample, report)
        _check_nan(op, sample, report)
        _check_layouts(op, sample, report)
        _check_derivatives(op, sample, report, order, seed)
    del finished[mark:]
    report.seconds = time.perf_counter() - started
    finished.append(report)
    return report


def _samples(op: Operator, seed: int) -> Iterator[Sample]:
    assert op.row is not None
    for sample in op.row.samples(np.random.default_rng(seed)):
        yield Sample(tuple(np.asarray(a) for a in sample.inputs), sample.attrs, sample.nan)


def _graph(op: Operator, inputs: tuple[Array, ...], attrs: Any) -> list[Node]:
    def call(*tensors: Any) -> Any:
        return apply(op, *tensors, **attrs)

    return TensorSubject(call, op.name).traced(inputs)[1]


def _check_values(op: Operator, sample: Sample, report: Report) -> None:
    """Every form of the operator against its plain meaning."""
    assert op.row is not None
    truth = node_by_node(_graph(op, sample.inputs, sample.attrs))
    forms = {"float64 planned": (sample.inputs, False, 1e-11)}
    if all(a.dtype.kind != "f" or a.dtype == np.float64 for a in sample.inputs):
        single = tuple(a.astype(np.float32) if a.dtype.kind == "f" else a for a in sample.inputs)
        rounded = tuple(a.astype(np.float64) if a.dtype.kind == "f" else a for a in single)
        forms["float32 kernel"] = (single, False, op.row.tolerance)
        forms["float32 generated"] = (single, True, op.row.tolerance)
        exact = node_by_node(_graph(op, rounded, sample.attrs))
    for form, (inputs, generate, bound) in forms.items():
        expected = exact if form.startswith("float32") else truth
        got = run_program(_graph(op, inputs, sample.attrs), generate)
        report.samples += 1
        report.count(form)
        # Relative to the largest of all results: one may be a small difference of large terms.
        scale = max(size_of_values(e) for e in expected)
        for i, (value, wanted) in enumerate(zip(got, expected, strict=True)):
            compare(report, form, i, value, wanted, bound * max(scale, 1e-30))


def _check_layouts(op: Operator, sample: Sample, report: Report) -> None:
    """The same values behind views give the same results."""
    if not any(a.dtype == np.float64 and a.ndim > 1 and a.size for a in sample.inputs):
        return
    assert op.row is not None
    inputs = [a.astype(np.float32) if a.dtype == np.float64 else a for a in sample.inputs]
    truth = node_by_node(
        _graph(
            op,
            tuple(a.astype(np.float64) if a.dtype == np.float32 else a for a in inputs),
            sample.attrs,
        )
    )
    scale = max(size_of_values(e) for e in truth)
    for layout in LAYOUTS[1:]:
        laid = [LAID_OUT[layout](a) for a in inputs]
        made = apply(op, *laid, **sample.attrs)
        outputs = [t.node for t in (made if isinstance(made, tuple) else (made,))]
        # One generated kernel for each way to walk: those of a few operators stand for all.
        for generate in {False, op.name in LAYOUT_KERNELS}:
            report.samples += 1
            report.count(f"{layout} inputs")
            for i, (got, wanted) in enumerate(
                zip(run_program(outputs, generate), truth, strict=True)
            ):
                allowed = op.row.tolerance * max(scale, 1e-30)
                compare(report, f"{layout} inputs", i, got, wanted, allowed)


def _check_nan(op: Operator, sample: Sample, report: Report) -> None:
    """A NaN in one element is NaN in the same results in every form."""
    if not sample.nan:
        return
    real = [i for i, a in enumerate(sample.inputs) if a.dtype == np.float64 and a.size]
    for i in real:
        inputs = [a.copy() for a in sample.inputs]
        inputs[i].reshape(-1)[inputs[i].size // 2] = np.nan
        try:
            truth = node_by_node(_graph(op, tuple(inputs), sample.attrs))
        except TinygradTxError:
            continue  # it is an error to have a NaN here, and has been said
        single = tuple(a.astype(np.float32) if a.dtype == np.float64 else a for a in inputs)
        for generate in (False, True):
            got = run_program(_graph(op, single, sample.attrs), generate)
            report.count("NaN")
            for k, (value, expected) in enumerate(zip(got, truth, strict=True)):
                if value.dtype.kind != "f":
                    continue
                lost = np.isnan(expected) & ~np.isnan(value)
                if lost.any():
                    at = np.unravel_index(int(lost.argmax()), lost.shape)
                    where = f"input {i}; result {k}, element {tuple(int(n) for n in at)}"
                    failed(report, "a NaN was swallowed", float("nan"), float(value[at]), where)


def _check_derivatives(op: Operator, sample: Sample, report: Report, order: int, seed: int) -> None:
    if op.name in _NO_DERIVATIVE or not any(a.dtype == np.float64 for a in sample.inputs):
        return

    def call(*tensors: Any) -> Any:
        return apply(op, *tensors, **sample.attrs)

    call.__qualname__ = f"<{op.name}>"
    halves = [np.round(a * 2) / 2 if a.dtype == np.float64 else a for a in sample.inputs]
    ties = [
        np.where(np.arange(a.size).reshape(a.shape) % 2, a, halves[0])
        if a.shape == halves[0].shape and a.dtype == halves[0].dtype
        else a
        for a in halves
    ]
    for arrays, highest, is_given in (
        (list(sample.inputs), order, True),
        (halves, 1, False),
        (ties, 1, False),
    ):
        try:
            report.add(
                gradcheck(
                    call,
                    arrays,
                    order=highest,
                    directions=2,
                    seed=seed,
                    max_discarded=1.0,
                    kinks="bounded",
                    name=op.name,
                )
            )
        except CheckInputError:
            if is_given and not _has_no_real_result(op, sample):
                raise


def _has_no_real_result(op: Operator, sample: Sample) -> bool:
    nodes = _graph(op, sample.inputs, sample.attrs)
    return not any(n.dtype.kind == "f" for n in nodes)
