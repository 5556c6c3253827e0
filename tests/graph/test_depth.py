"""Depth is no limit: a chain of 100,000 nodes."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.graph.text import text


@pytest.mark.slow
def test_a_chain_of_100_000_nodes_builds_differentiates_and_runs() -> None:
    x = tx.tensor(np.array([0.5, -0.25]), dtype=tx.float64, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y * 0.99999
    y.sum().backward()
    factor = 0.99999**100_000
    np.testing.assert_allclose(y.numpy(), np.array([0.5, -0.25]) * factor, rtol=1e-9)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), factor, rtol=1e-9)


@pytest.mark.slow
def test_a_chain_of_100_000_nodes_compiles_under_jit_and_has_a_text_form() -> None:
    @tx.jit
    def chain(x: tx.Tensor) -> tx.Tensor:
        for _ in range(100_000):
            x = x * 0.99999
        return x

    x = np.array([1.0, -2.0], np.float32)
    np.testing.assert_allclose(chain(x).numpy(), x * 0.99999**100_000, rtol=1e-2)
    assert text(chain.graph(x)).count("multiply") == 100_000


@pytest.mark.slow
def test_a_chain_of_20_000_nodes_compiles_under_jit() -> None:
    @tx.jit
    def chain(x: tx.Tensor) -> tx.Tensor:
        for i in range(10_000):
            x = (x + float(i % 3)).sum(axis=0, keepdims=True) * 0.5
        return x

    expected = np.array([1.0])
    for i in range(10_000):
        expected = (expected + i % 3) * 0.5
    np.testing.assert_allclose(chain(np.array([1.0], np.float32)).numpy(), expected, rtol=1e-5)
