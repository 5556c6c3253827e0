"""Nodes that begin something come as soon as what they read is known."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings, strategies as st

import tinygrad_tx as tx
from tinygrad_tx.compiler.program import ArrayStep
from tinygrad_tx.distributed.messages import effect
from tinygrad_tx.tensor import concat, no_grad, reshape, tensor


@settings(deadline=None, max_examples=15)
@given(st.permutations(range(5)), st.integers(0, 3))
def test_each_start_stands_behind_its_layer_and_before_the_next(order, padding) -> None:
    """Layers are made one after the other, starts after all of them: in the Program start i comes
    before layer i + 1. Starts that wait for each other in another order never overtake."""
    said: list[int] = []

    def start(number: int):
        def note(given, token):
            said.append(number)
            return token + given.size

        return note

    starts = [start(i) for i in range(5)]

    @tx.jit
    def step(x, w):
        values = []
        for _ in range(5):
            x = tx.tanh(x @ w)
            values.append(x)
        with no_grad():
            token = tensor_zero()
            for i in order:
                parts = [reshape(values[i], -1)]
                parts += [tx.Tensor(zero_node(padding))] if padding else []
                token = effect(
                    f"start {i}", starts[i], (), np.int64, concat(parts), token, early=True
                )
        return x, token

    x, w = np.ones((3, 4), np.float32), np.full((4, 4), 0.1, np.float32)
    out, token = step(x, w)
    assert said == list(order)
    assert token.item() == 5 * (12 + padding)
    truth = x
    for _ in range(5):
        truth = np.tanh(truth @ w)
    np.testing.assert_allclose(out.numpy(), truth, rtol=1e-5)
    steps = step.plan(x, w).program.steps
    behind = 0
    products = [i for i, s in enumerate(steps) if "matmul" in s.label]
    begun = [i for i, s in enumerate(steps) if isinstance(s, ArrayStep)]
    for place, layer in zip(begun, order, strict=True):
        behind = max(behind, layer)
        later = [p for p in products if p > place]
        # Every layer after the last one that this start had to wait for is still to come.
        assert len(later) >= (4 - behind)


def tensor_zero() -> tx.Tensor:
    return tx.Tensor(zero_node(None))


def zero_node(count: int | None):
    from tinygrad_tx.graph.builder import Builder

    shape, dtype = ((), np.int64) if count is None else ((count,), np.float32)
    return Builder().full(shape, 0, np.dtype(dtype))


def test_a_program_without_such_nodes_is_as_it_was() -> None:
    x = tensor(np.ones((2, 2), np.float32))
    assert "external" not in tx.jit(lambda x: tx.tanh(x) + 1).plan(x).text()
