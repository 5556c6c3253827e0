"""Elementary functions in float32 against float64 NumPy, in units in the last place."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx

Array = np.ndarray[Any, Any]
erf = np.vectorize(math.erf, otypes=[np.float64])


def every_scale() -> Array:
    """Numbers of every exponent and sign, denormals among them, and all that is special."""
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 200_000, dtype=np.uint64).astype(np.uint32)
    special = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 3.4e38, -3.4e38]
    near = rng.normal(size=100_000) * 4
    return np.concatenate([bits.view(np.float32), np.float32(special), near.astype(np.float32)])


def sigmoid(x: Array) -> Array:
    return np.where(x < 0, np.exp(np.minimum(x, 0)), 1.0) / (1 + np.exp(-np.abs(x)))


# For each function the truth, and the error that is allowed.
BOUNDS: dict[str, tuple[Callable[[Array], Array], float]] = {
    "exp": (np.exp, 2),
    "expm1": (np.expm1, 4),
    "log": (np.log, 2),
    "log1p": (np.log1p, 4),
    "tanh": (np.tanh, 4),
    "erf": (erf, 6),
    "sigmoid": (sigmoid, 4),
    "sqrt": (np.sqrt, 1),
    "rsqrt": (lambda x: 1 / np.sqrt(x), 2),
}


def ulps(got: Array, truth: Array) -> Array:
    """The distance to the truth in steps of float32 there; 0 where both are the same special."""
    with np.errstate(all="ignore"):
        rounded = truth.astype(np.float32)
        step = np.spacing(np.abs(rounded)).astype(np.float64)
        away = np.abs(got.astype(np.float64) - truth) / step
    same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
    return np.where(same, 0.0, away)


@pytest.mark.parametrize("name", BOUNDS)
def test_error_in_ulps(name: str) -> None:
    truth, bound = BOUNDS[name]
    x = every_scale()
    got = tx.jit(getattr(tx, name))(x).numpy()
    with np.errstate(all="ignore"):
        expected = truth(x.astype(np.float64))
    error = ulps(got, expected)
    worst = np.nanargmax(np.where(np.isnan(error), np.inf, error))
    assert error[worst] <= bound, (x[worst], got[worst], expected[worst], error[worst])


@pytest.mark.parametrize("name", ["gelu", "silu", "sin", "cos"])
def test_error_relative_to_the_argument(name: str) -> None:
    """Where a result is a small difference of large numbers ulps of it say little."""
    x = np.random.default_rng(1).normal(size=100_000).astype(np.float32) * 4
    double = x.astype(np.float64)
    truths = {
        "gelu": double * (1 + erf(double / np.sqrt(2))) / 2,
        "silu": double * sigmoid(double),
        "sin": np.sin(double),
        "cos": np.cos(double),
    }
    got = tx.jit(getattr(tx, name))(x).numpy()
    assert (np.abs(got - truths[name]) / (1 + np.abs(x))).max() < 3e-7


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("width", [1, 7, 64, 100])
def test_the_largest_of_a_row_keeps_nan_of_either_sign(sign: float, width: int) -> None:
    """The maximum is taken on bits, where a NaN with its sign set is the smallest number."""
    for place in {0, width // 2, width - 1}:
        x = np.random.default_rng(0).normal(size=(3, width)).astype(np.float32)
        x[1, place] = np.copysign(np.float32(np.nan), np.float32(sign))
        for f in (tx.softmax, tx.log_softmax):
            got = tx.jit(f)(x).numpy()
            assert np.isnan(got[1]).all()
            assert np.isfinite(got[[0, 2]]).all()


@pytest.mark.parametrize(
    "values", [[-np.inf, 1.0], [-3.0, -2.0], [-0.0, 0.0], [3e38, -3e38], [1e-45, 0]]
)
def test_the_largest_of_a_row(values: list[float]) -> None:
    x = np.array([values], np.float32)
    shifted = x.astype(np.float64) - x.max()
    expected = np.exp(shifted) / np.exp(shifted).sum()
    np.testing.assert_allclose(tx.jit(tx.softmax)(x).numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("name", [*BOUNDS, "gelu", "silu", "sin", "cos", "relu", "abs", "square"])
def test_nan_comes_through(name: str) -> None:
    got = tx.jit(getattr(tx, name))(np.full(37, np.nan, np.float32)).numpy()
    assert np.isnan(got).all()
