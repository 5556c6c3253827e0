"""gradcheck says yes to what is right, no to what is wrong, and why it cannot say."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.testing import CheckInputError, GradientError, check_jacobian, gradcheck
from tinygrad_tx.testing.differences import slope

X = np.random.default_rng(0).normal(size=(3, 4))


@tx.custom_op
def wrong_square(x: tx.Tensor) -> tx.Tensor:
    return x * x


@wrong_square.gradient
def wrong_rule(cotangent: tx.Tensor, output: tx.Tensor, x: tx.Tensor) -> tx.Tensor:
    return cotangent * x * 2.02


@pytest.mark.parametrize(
    ("g", "expected"),
    [
        (np.sin, 1.0),
        (lambda t: np.exp(3 * t), 3.0),
        (lambda t: 1e8 + t, 1.0),
        (lambda t: np.sqrt(1 + t), 0.5),
        (lambda t: 1e-12 * np.tanh(t), 1e-12),
        (lambda t: 5.0, 0.0),
    ],
)
def test_slopes_know_their_error(g: Callable[[float], float], expected: float) -> None:
    measured = slope(lambda t: (float(g(t)), abs(float(g(t)))))
    assert abs(measured.value - expected) <= measured.error * 10 + 1e-12 * abs(expected)
    assert measured.error < 1e-2
    assert not measured.is_kink


@pytest.mark.parametrize("g", [abs, lambda t: max(t, 0.0), lambda t: 3 * t if t > 0 else t])
def test_kinks_are_seen(g: Callable[[float], float]) -> None:
    measured = slope(lambda t: (float(g(t)), abs(float(g(t)))))
    assert measured.is_kink
    assert measured.left < measured.right


def test_right_functions_pass_and_are_counted() -> None:
    report = gradcheck(lambda x, y: tx.softmax(tx.tanh(x) @ y), (X, X.T), order=2, directions=4)
    assert report.samples == 8
    assert report.kinks == report.discarded == 0
    assert report.checks["reverse"] == report.checks["forward"] == report.checks["transposes"] == 8
    assert 0 < report.worst < 1


def test_integers_are_passed_on_and_nests_are_fine() -> None:
    index = np.array([0, 2, 2])
    gradcheck(lambda x, i: {"a": [tx.take(x, i, 0)], "b": x.sum()}, (X, index))


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 1e3, 1e8])
def test_values_of_every_size(scale: float) -> None:
    gradcheck(lambda x: tx.log(x) * x, np.abs(X) * scale + scale)


def test_a_wrong_rule_is_found_and_blamed_and_shown() -> None:
    with pytest.raises(GradientError) as caught:
        gradcheck(lambda x: (wrong_square(tx.exp(x)) @ X.T).sum(), X)
    error = caught.value
    message = str(error)
    assert "ratio 1.01" in message
    assert "input 0, element (" in message
    assert "wrong_square" in error.failure.blame
    assert f"{__file__}:" in error.failure.blame
    assert "wrong_rule" in error.failure.blame


def test_the_reproduction_runs_as_pasted_and_fails_the_same_way(tmp_path: Path) -> None:
    with pytest.raises(GradientError) as caught:
        gradcheck(lambda x: wrong_square(tx.checkpoint(tx.exp)(x)).sum(), X)
    files = caught.value.save(tmp_path)
    assert {f.suffix for f in files} == {".py", ".svg"}
    svg = next(f for f in files if f.suffix == ".svg").read_text()
    assert "#ffb3b3" in svg
    script = next(f for f in files if f.suffix == ".py")
    # The custom operator is imported from this file: a project is on its own path.
    done = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "GradientError" in done.stderr, done.stderr
    assert "ratio 1.01" in done.stderr


def wrong_numpy_gradient(x: Any) -> Any:
    return 3 * x


def test_the_reproduction_of_a_numpy_function_runs(tmp_path: Path) -> None:
    with pytest.raises(GradientError) as caught:
        gradcheck(lambda x: (x**2).sum(), X, gradient=lambda x: 3 * x)
    (script,) = caught.value.save(tmp_path)
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "ratio 1.5" in done.stderr, done.stderr


def test_forward_mode_mistakes_are_found() -> None:
    from dataclasses import replace

    from tinygrad_tx.graph import registry

    op = registry.find("matmul")
    registry._operators["matmul"] = replace(op, linear_in=(0,))
    try:
        with pytest.raises(GradientError, match="forward mode") as caught:
            gradcheck(lambda x: x @ x.T, X)
    finally:
        registry._operators["matmul"] = op
    assert "operator matmul" in caught.value.failure.blame


def test_kinks_are_reported_apart_and_too_many_are_an_error() -> None:
    inputs = np.array([0.0, 1.0, -2.0])
    with pytest.raises(CheckInputError, match="at kinks"):
        gradcheck(tx.relu, inputs)
    report = gradcheck(tx.relu, inputs, max_discarded=1.0, kinks="bounded")
    assert report.kinks == report.samples
    doubled = tx.custom_op(tx.relu, gradient=lambda c, y, x: c * (x >= 0) * 2.0)
    with pytest.raises(GradientError):
        gradcheck(doubled, np.zeros(3), max_discarded=1.0, kinks="bounded")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: gradcheck(lambda x: x > 0, X), "no real number"),
        (lambda: gradcheck(lambda x: x, np.arange(3)), "floating-point"),
        (lambda: gradcheck(lambda x: x, ()), "floating-point"),
        (lambda: gradcheck(lambda x: x, np.array(["a"])), "dtype"),
        (lambda: gradcheck(lambda x: tx.rand(3) * x.sum(), X), "called twice"),
        (lambda: gradcheck(tx.log, -np.abs(X)), "result 0 is nan"),
        (lambda: gradcheck(lambda x: 3.0, X), "no tensor"),
        (
            lambda: gradcheck(lambda x: (x**2).sum(), X, gradient=lambda x: 2 * x[:1]),
            "shape (1, 4)",
        ),
        (lambda: gradcheck(lambda x: x.sum(), X, gradient=lambda x: (x, x)), "2 arrays for 1"),
        (lambda: gradcheck(lambda x: x * 2, X, gradient=lambda x: x), "use vjp="),
        (lambda: gradcheck(lambda x: x, X, gradient=abs, vjp=abs), "not both"),
        (lambda: gradcheck(lambda x: x.sum(), X, gradient=np.ones_like, order=2), "order 2"),
        (lambda: gradcheck(tx.exp, X, modes=("sideways",)), "sideways"),
        (lambda: gradcheck(tx.exp, X, directions=0), "directions 0"),
    ],
)
def test_what_cannot_be_checked_says_why(call: Callable[[], Any], said: str) -> None:
    with pytest.raises(CheckInputError) as caught:
        call()
    assert said in str(caught.value)


def test_a_rule_that_is_not_linear_in_its_cotangent() -> None:
    bent = tx.custom_op(lambda x: x * 1.0, gradient=lambda c, y, x: c + 1e-4 * c * c)
    with pytest.raises(GradientError):
        gradcheck(bent, X, modes=("reverse",), relative=1e-2)


def test_numpy_functions_with_vjp() -> None:
    gradcheck(np.tanh, X, vjp=lambda c, x: c / np.cosh(x) ** 2)
    gradcheck(
        lambda x, y: (x @ y, x.sum()),
        (X, X.T),
        vjp=lambda c, x, y: (c[0] @ y.T + c[1], x.T @ c[0]),
    )


def test_check_jacobian() -> None:
    check_jacobian(lambda x: np.tanh(x), X[0], np.diag(1 - np.tanh(X[0]) ** 2))
    with pytest.raises(GradientError):
        check_jacobian(lambda x: np.tanh(x), X[0], np.diag(1 - np.tanh(X[0])))


@pytest.mark.parity
def test_torch_functions() -> None:
    torch = pytest.importorskip("torch")
    from tinygrad_tx.testing import from_torch

    gradcheck(from_torch(lambda x, y: torch.softmax(x @ y, -1)), (X, X.T))

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x**2

        @staticmethod
        def backward(ctx: Any, c: Any) -> Any:
            return 1.9 * ctx.saved_tensors[0] * c

    with pytest.raises(GradientError, match=r"ratio 0\.95"):
        gradcheck(from_torch(Wrong.apply), X)


@pytest.mark.parity
def test_jax_functions() -> None:
    jax = pytest.importorskip("jax")
    from tinygrad_tx.testing import from_jax

    jax.config.update("jax_enable_x64", False)
    with pytest.raises(CheckInputError, match="jax_enable_x64"):
        from_jax(abs)
    jax.config.update("jax_enable_x64", True)
    gradcheck(from_jax(lambda x, y: jax.nn.softmax(x @ y)), (X, X.T))

    @jax.custom_jvp
    def wrong(x: Any) -> Any:
        return x**2

    wrong.defjvp(lambda p, t: (p[0] ** 2, 1.9 * p[0] * t[0]))
    with pytest.raises(GradientError, match=r"ratio 0\.95"):
        gradcheck(from_jax(wrong), X)


def test_invariances() -> None:
    """Properties that hold whatever the values: a shift, a scale, the order of keys."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(4, 6))
    np.testing.assert_allclose(tx.softmax(x + 7.0).numpy(), tx.softmax(x).numpy(), rtol=1e-12)
    w, b = np.ones(6), np.zeros(6)
    np.testing.assert_allclose(
        tx.layer_norm(3 * x + 2, w, b, 0.0).numpy(), tx.layer_norm(x, w, b, 0.0).numpy(), rtol=1e-9
    )
    q, k, v = rng.normal(size=(3, 1, 2, 5, 8))
    order = rng.permutation(5)
    np.testing.assert_allclose(
        tx.attention(q, k[:, :, order], v[:, :, order]).numpy(),
        tx.attention(q, k, v).numpy(),
        rtol=1e-10,
    )
