"""Every operator against truths from elsewhere: float64 NumPy and finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_tx.ops  # noqa: F401  # registers the operators
from tinygrad_tx.autodiff import forward, reverse
from tinygrad_tx.autodiff.expansion import expanded
from tinygrad_tx.capture import capturing
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator, Sample
from tinygrad_tx.graph.registry import operators
from tinygrad_tx.jit import jit
from tinygrad_tx.runtime.buffer import Buffer
from tinygrad_tx.runtime.evaluate import evaluate
from tinygrad_tx.tensor.tensor import Tensor

Array = np.ndarray[Any, Any]
ROWS = [op for op in operators() if op.row is not None]
STEP = 1e-6


def samples_of(op: Operator) -> list[Sample]:
    assert op.row is not None
    found = op.row.samples(np.random.default_rng(7))
    return [Sample(tuple(np.asarray(a) for a in s.inputs), s.attrs) for s in found]


def results_of(op: Operator, inputs: list[Node], attrs: Any) -> tuple[Node, ...]:
    result = Builder().apply(op, *inputs, **attrs)
    return result if isinstance(result, tuple) else (result,)


def leaves_of(arrays: list[Array]) -> tuple[list[Buffer], list[Node]]:
    buffers = [Buffer.of(a) for a in arrays]
    return buffers, [b.leaf for b in buffers]


def by_id(op: Operator) -> str:
    return op.name


@pytest.mark.parametrize("op", ROWS, ids=by_id)
def test_forward_agrees_with_its_reference_and_expansion(op: Operator) -> None:
    for sample in samples_of(op):
        _, leaves = leaves_of(list(sample.inputs))
        results = results_of(op, leaves, sample.attrs)
        got = evaluate(results)
        truths = []
        if op.ufunc is not None or op.reference is not None:
            function = op.ufunc or op.reference
            assert function is not None
            with np.errstate(all="ignore"):
                truth = function(*sample.inputs, **({} if op.ufunc else sample.attrs))
            truths.append(truth if isinstance(truth, tuple) else (truth,))
        if op.expand is not None:
            node = results[0].inputs[0] if len(results) > 1 else results[0]
            truths.append(evaluate(expanded(node)))
        for truth in truths:
            for value, expected, node in zip(got, truth, results, strict=True):
                assert value.shape == np.shape(expected) == node.shape
                np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-12)


def weighted_sum(results: tuple[Node, ...], seed: int) -> Node | None:
    """A number that depends on every floating-point result."""
    b = Builder()
    rng = np.random.default_rng(seed)
    total = None
    for node in results:
        if node.dtype == np.float64:
            weight = Buffer.of(rng.normal(size=node.shape)).leaf
            axes = tuple(range(len(node.shape)))
            term = b.sum(b.multiply(node, weight), axes=axes, keepdims=False)
            total = term if total is None else b.add(total, term)
    return total


def difference(f: Callable[[list[Array]], float], xs: list[Array], moves: list[Array]) -> float:
    """The derivative of f at xs along moves, by central differences of fourth order."""

    def at(h: float) -> float:
        moved = zip(xs, moves, strict=True)
        return f([x + h * m if x.dtype == np.float64 else x for x, m in moved])

    h = 1e-4
    return (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)


def differentiable(op: Operator) -> bool:
    return any(a.dtype == np.float64 for s in samples_of(op) for a in s.inputs) and op.name not in (
        "isnan",
        "isinf",
        "isfinite",
        "stop_gradient",
    )


def derivatives_agree(op: Operator, sample: Sample, order: int, rng: np.random.Generator) -> None:
    arrays = list(sample.inputs)
    floats = [i for i, a in enumerate(arrays) if a.dtype == np.float64]
    moves = [
        rng.normal(size=a.shape) if i in floats else np.zeros_like(a) for i, a in enumerate(arrays)
    ]
    other = [rng.normal(size=a.shape) for a in arrays]

    def build(values: list[Array]) -> tuple[list[Node], Node | None]:
        _, leaves = leaves_of(values)
        total = weighted_sum(results_of(op, leaves, sample.attrs), 3)
        if order == 1 or total is None:
            return leaves, total
        # Second order: the first derivative along `other`, as a function to differentiate.
        wrt = [leaves[i] for i in floats]
        found = reverse([total], [Builder().full((), 1, total.dtype)], wrt)
        b, inner = Builder(), None
        for i, g in zip(floats, found, strict=True):
            if g is not None:
                axes = tuple(range(len(g.shape)))
                along = b.multiply(g, Buffer.of(other[i]).leaf)
                term = b.sum(along, axes=axes, keepdims=False)
                inner = term if inner is None else b.add(inner, term)
        return leaves, inner

    def value(values: list[Array]) -> float:
        _, total = build(values)
        return 0.0 if total is None else float(evaluate([total])[0])

    leaves, total = build(arrays)
    if total is None:
        return
    wrt = [leaves[i] for i in floats]
    tangents = [Buffer.of(moves[i]).leaf for i in floats]
    expected = difference(value, arrays, moves)
    backward = reverse([total], [Builder().full((), 1, total.dtype)], wrt)
    got = sum(
        float(np.sum(evaluate([g])[0] * moves[i]))
        for i, g in zip(floats, backward, strict=True)
        if g is not None
    )
    assert got == pytest.approx(expected, rel=1e-6, abs=1e-7), "reverse"
    (tangent,) = forward([total], wrt, tangents)
    along = 0.0 if tangent is None else float(evaluate([tangent])[0])
    assert along == pytest.approx(expected, rel=1e-6, abs=1e-7), "forward"


@pytest.mark.parametrize("op", [op for op in ROWS if differentiable(op)], ids=by_id)
@pytest.mark.parametrize("order", [1, 2])
def test_derivatives_agree_with_finite_differences(op: Operator, order: int) -> None:
    rng = np.random.default_rng(11)
    for sample in samples_of(op):
        derivatives_agree(op, sample, order, rng)


def compiled_agrees(op: Operator, sample: Sample) -> None:
    singles = [np.asarray(a, np.float32) if a.dtype == np.float64 else a for a in sample.inputs]
    doubles = [np.asarray(a, np.float64) if a.dtype == np.float32 else a for a in singles]
    _, leaves = leaves_of(doubles)
    truth = evaluate(results_of(op, leaves, sample.attrs))

    def call(*tensors: Tensor) -> list[Tensor]:
        results = results_of(op, [t.node for t in tensors], sample.attrs)
        return [Tensor(r) for r in results]

    got = jit(call)(*singles)
    # Relative to the largest of all results: one of them may be a small difference of large
    # terms that another one shows.
    scale = max(np.max(np.abs(t), initial=0, where=np.isfinite(t)) for t in truth)
    bound = op.row.tolerance * max(float(scale), 1e-30)
    for tensor, expected in zip(got, truth, strict=True):
        np.testing.assert_allclose(tensor.numpy(), expected, rtol=0, atol=bound)


@pytest.mark.parametrize("op", ROWS, ids=by_id)
def test_compiled_float32_agrees_with_float64(op: Operator) -> None:
    assert op.row is not None
    for sample in samples_of(op):
        compiled_agrees(op, sample)


def test_stop_gradient_is_a_constant_to_both_modes() -> None:
    b = Builder()
    x = Buffer.of(np.ones(3)).leaf
    y = b.stop_gradient(b.square(x))
    assert reverse([y], [x], [x]) == (None,)
    assert forward([y], [x], [x]) == (None,)


def test_a_capture_sees_nothing_of_another() -> None:
    buffer = Buffer.of(np.ones(3))
    with capturing() as first:
        one = first.leaf(buffer)
    with capturing() as second:
        two = second.leaf(buffer)
    assert one is not two
    assert one is not buffer.leaf
