"""Optimisers, clipping and schedules against the formulas of their papers in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.errors import CheckpointError, GraphError

Array = np.ndarray[Any, Any]
GRADIENTS = np.random.default_rng(0).normal(size=(6, 3, 2))


def updated(make: Callable[[Any], Any], captured: bool) -> Array:
    """The parameter after the steps of GRADIENTS."""
    p = tx.tensor(np.ones((3, 2)), dtype="float64", requires_grad=True)
    optimizer = make([p])

    def step(g: tx.Tensor) -> None:
        optimizer.zero_grad()
        (p * g).sum().backward()
        optimizer.step()

    run = tx.jit(step) if captured else step
    for g in GRADIENTS:
        run(tx.tensor(g))
    return p.numpy()


@pytest.mark.parametrize("captured", [False, True])
def test_sgd_with_momentum(captured: bool) -> None:
    p, v = np.ones((3, 2)), np.zeros((3, 2))
    for g in GRADIENTS:
        v = 0.9 * v + g + 0.1 * p
        p = p - 0.01 * v
    got = updated(lambda ps: tx.optim.SGD(ps, 0.01, momentum=0.9, weight_decay=0.1), captured)
    np.testing.assert_allclose(got, p, rtol=1e-7)


@pytest.mark.parametrize("captured", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_adamw_is_algorithm_2(captured: bool, decay: float) -> None:
    p = np.ones((3, 2))
    m, v = np.zeros_like(p), np.zeros_like(p)
    for t, g in enumerate(GRADIENTS, 1):
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
        change = (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.99**t)) + 1e-8)
        p = p - 0.01 * (change + decay * p)
    if decay:
        make = lambda ps: tx.optim.AdamW(ps, 0.01, (0.9, 0.99), weight_decay=decay)  # noqa: E731  # two of a kind
    else:
        make = lambda ps: tx.optim.Adam(ps, 0.01, (0.9, 0.99))  # noqa: E731  # two of a kind
    np.testing.assert_allclose(updated(make, captured), p, rtol=1e-5)


def test_clipping_bounds_the_joint_norm_and_keeps_the_direction() -> None:
    a, b = tx.ones((3,)).requires_grad_(), tx.ones((2, 2)).requires_grad_()
    for limit in (1.0, 1e6):
        a.grad, b.grad = tx.tensor([3.0, 0.0, 4.0]), tx.full((2, 2), 6.0)
        norm = tx.optim.clip_grad_norm([a, b], limit)
        assert norm.item() == pytest.approx(13.0)
        scale = min(1.0, limit / 13.0)
        assert a.grad is not None
        np.testing.assert_allclose(a.grad.numpy(), np.array([3, 0, 4]) * scale, rtol=1e-5)
        np.testing.assert_allclose(b.grad.numpy(), np.full((2, 2), 6 * scale), rtol=1e-5)


def test_schedules_start_warm_up_and_end_where_they_should() -> None:
    rate = tx.optim.cosine(1.0, steps=100, warmup=10, floor=0.1)
    assert rate(0) == pytest.approx(0.1)
    assert rate(9) == pytest.approx(1.0)
    assert rate(55) == pytest.approx(0.55, abs=0.01)
    assert rate(100) == pytest.approx(0.1)
    assert rate(1000) == pytest.approx(0.1)
    assert tx.optim.constant(0.5)(7) == 0.5
    values = [rate(t) for t in range(10, 101)]
    assert values == sorted(values, reverse=True)


def test_state_goes_through_a_dictionary() -> None:
    def trained(optimizer: tx.optim.AdamW, p: tx.Tensor, gradients: Array) -> None:
        for g in gradients:
            optimizer.zero_grad()
            (p * tx.tensor(g)).sum().backward()
            optimizer.step()

    p, q = (tx.tensor(np.ones((3, 2)), requires_grad=True) for _ in range(2))
    whole, first = tx.optim.AdamW([p]), tx.optim.AdamW([q])
    trained(whole, p, GRADIENTS)
    trained(first, q, GRADIENTS[:3])
    second = tx.optim.AdamW([q])
    second.load_state_dict(first.state_dict())
    trained(second, q, GRADIENTS[3:])
    assert q.numpy().tobytes() == p.numpy().tobytes()
    wrong = {**first.state_dict(), "first.0": np.zeros(7)}
    with pytest.raises(CheckpointError, match=r"first\.0"):
        second.load_state_dict(wrong)
    with pytest.raises(CheckpointError, match="missing lr"):
        second.load_state_dict({})


def test_what_cannot_be_trained_is_refused() -> None:
    p = tx.ones((2,)).requires_grad_()
    with pytest.raises(ValueError, match="no parameters"):
        tx.optim.AdamW([])
    with pytest.raises(GraphError, match="parameter 1"):
        tx.optim.SGD([p, tx.ones((2,))], 0.1)
    for bad in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="learning rate"):
            tx.optim.SGD([p], bad)
    with pytest.raises(ValueError, match="betas"):
        tx.optim.AdamW([p], betas=(0.9, 1.0))


@pytest.mark.parametrize("captured", [False, True])
@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_a_factor_is_a_learning_rate_of_its_own(kind: str, captured: bool) -> None:
    def make(lr: float, factors: list[float] | None) -> Callable[[Any], Any]:
        if kind == "sgd":
            return lambda ps: tx.optim.SGD(ps, lr, 0.9, 0.1, factors)
        return lambda ps: tx.optim.AdamW(ps, lr, (0.9, 0.99), weight_decay=0.3, factors=factors)

    whole = updated(make(0.003, None), captured)
    np.testing.assert_allclose(updated(make(0.01, [0.3]), captured), whole, rtol=1e-6)
    np.testing.assert_array_equal(updated(make(0.01, [0.0]), captured), np.ones((3, 2)))
    assert np.abs(whole - 1).max() > 1e-3


def test_rates_by_path() -> None:
    rate = tx.optim.layer_wise(3, 0.5)
    assert rate("encoder.blocks.2.attention.qkv.weight") == 0.5
    assert rate("encoder.blocks.0.attention.qkv.weight") == 0.125
    assert rate("encoder.embedding.weight") == 0.0625
    assert rate("classifier.weight") == 1.0
    frozen = tx.optim.frozen("encoder.blocks.0.*", "*.bias")
    names = ("encoder.blocks.0.x", "encoder.blocks.1.x", "classifier.bias")
    assert [frozen(n) for n in names] == [0, 1, 0]


@pytest.mark.parametrize("factors", [[1.0], [1.0, -0.1], [1.0, float("nan")]])
def test_factors_that_fit_no_parameter_are_refused(factors: list[float]) -> None:
    with pytest.raises(ValueError, match="factors"):
        tx.optim.AdamW([tx.ones((2,)).requires_grad_() for _ in range(2)], factors=factors)
