"""Programs pinned as text: a changed plan shows in review as a changed line.

To accept new plans: GOLDEN=write python -m pytest tests/compiler/test_golden.py
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx

FOLDER = Path(__file__).parent / "golden"


def single(*shape: int) -> np.ndarray[Any, Any]:
    return np.zeros(shape, np.float32)


def fused_chain() -> tuple[Any, tuple[Any, ...]]:
    """One kernel for a whole chain of elementwise operations, written over its dying input."""

    def f(x: tx.Tensor, y: tx.Tensor) -> tx.Tensor:
        return tx.tanh(x * 2.0 + y) * tx.sigmoid(x.T.T)

    return f, (single(64, 32), single(32))


def views_cost_nothing() -> tuple[Any, tuple[Any, ...]]:
    """Reshape, permute, slice and flip add no step before the operation that reads them."""

    def f(x: tx.Tensor) -> tx.Tensor:
        return tx.exp(x.reshape(4, 8, 2).permute_dims(1, 0, 2)[::-1, 1:3])

    return f, (single(8, 8),)


def update_in_place() -> tuple[Any, tuple[Any, ...]]:
    """SGD writes the new weight straight over the old, after everything else."""
    w = tx.zeros((16, 4), requires_grad=True)
    optimizer = tx.optim.SGD([w], 0.1)

    def step(x: tx.Tensor) -> tx.Tensor:
        optimizer.zero_grad()
        loss = ((w * x) ** 2).sum()
        loss.backward()
        optimizer.step()
        return loss

    return step, (single(16, 4),)


def norm_and_loss() -> tuple[Any, tuple[Any, ...]]:
    """Layer norm and cross-entropy with their gradients, each one kernel."""

    def f(x: tx.Tensor, w: tx.Tensor, b: tx.Tensor, t: tx.Tensor) -> Any:
        return tx.value_and_grad(lambda v: tx.cross_entropy(tx.layer_norm(v, w, b), t))(x)

    return f, (single(6, 10), single(10), single(10), np.zeros(6, np.int64))


def checkpointed() -> tuple[Any, tuple[Any, ...]]:
    """What is checkpointed is computed again for the gradient."""
    body = tx.checkpoint(lambda v: tx.tanh(tx.softmax(v)))
    return (lambda x: tx.value_and_grad(lambda v: body(v).sum())(x)), (single(5, 7),)


def dense_layer() -> tuple[Any, tuple[Any, ...]]:
    """Bias and activation are epilogues of the product, the loss is summed where it is computed,
    and the cotangents of neighbouring slices are written side by side."""

    def f(x: tx.Tensor, w: tx.Tensor, b: tx.Tensor) -> Any:
        def loss(w: tx.Tensor) -> tx.Tensor:
            hidden = tx.relu(x @ w + b)
            return ((hidden[:, :4] - hidden[:, 4:]) ** 2).sum()

        return tx.value_and_grad(loss)(w)

    return f, (single(6, 3), single(3, 8), single(8))


CASES = [dense_layer, fused_chain, views_cost_nothing, update_in_place, norm_and_loss, checkpointed]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.__name__)
def test_programs_are_as_pinned(case: Callable[[], Any]) -> None:
    function, arguments = case()
    text = tx.jit(function).plan(*arguments).text() + "\n"
    path = FOLDER / f"{case.__name__}.txt"
    if os.environ.get("GOLDEN") == "write":
        path.write_text(text)
    assert path.read_text() == text
