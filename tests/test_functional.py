"""Transforms against closed forms and finite differences, through the public names."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.errors import ShapeError


def test_third_derivative_of_a_quartic() -> None:
    f = tx.grad(tx.grad(tx.grad(lambda x: x**4.0)))
    assert f(tx.tensor(2.0, dtype="float64")).item() == pytest.approx(48.0)


def test_nested_gradients_do_not_mix_their_inputs() -> None:
    # d/dx (x * d/dy (x + y)) = 1, not 2.
    inner = lambda x: x * tx.grad(lambda y: x + y)(x)  # noqa: E731  # reads like the formula
    assert tx.grad(inner)(tx.tensor(3.0)).item() == 1.0


def test_hessian_of_a_quadratic_form_is_its_matrix() -> None:
    a = np.random.default_rng(0).normal(size=(4, 4))
    x = tx.tensor(np.ones(4))
    found = tx.hessian(lambda v: (v * (tx.tensor(a) @ v)).sum())(x)
    np.testing.assert_allclose(found.numpy(), a + a.T, atol=1e-12)


def test_jacobian_of_softmax() -> None:
    x = np.random.default_rng(1).normal(size=5)
    p = np.exp(x) / np.exp(x).sum()
    found = tx.jacobian(tx.softmax)(tx.tensor(x)).numpy()
    np.testing.assert_allclose(found, np.diag(p) - np.outer(p, p), atol=1e-12)


def test_jvp_and_vjp_are_transposes() -> None:
    rng = np.random.default_rng(2)
    x, w, t = (tx.tensor(rng.normal(size=s)) for s in ((3, 4), (4, 2), (3, 4)))
    f = lambda v: tx.layer_norm(tx.gelu(v @ w), tx.ones(2, "float64"), tx.zeros(2, "float64"))  # noqa: E731  # one use
    out, moved = tx.jvp(f, (x,), (t,))
    u = tx.tensor(rng.normal(size=out.shape))
    _, pull = tx.vjp(f, x)
    (back,) = pull(u)
    assert (u * moved).sum().item() == pytest.approx((back * t).sum().item(), rel=1e-10)


def test_gradient_of_nested_arguments_keeps_the_nest() -> None:
    params = {"w": tx.ones((2, 2)), "b": [tx.ones(2)]}
    grads = tx.grad(lambda p: p["w"].sum() * 2.0 + p["b"][0].sum())(params)
    assert grads["w"].numpy().tolist() == [[2.0, 2.0], [2.0, 2.0]]
    assert grads["b"][0].numpy().tolist() == [1.0, 1.0]


def test_gradient_of_a_vector_function_names_the_remedy() -> None:
    with pytest.raises(ShapeError, match="jacobian"):
        tx.grad(lambda x: x * 2.0)(tx.ones(3))
