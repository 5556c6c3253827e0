"""What the array API standard adds: values against NumPy, gradients, and the same under jit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_tx as tx
from tinygrad_tx.errors import CaptureError, DTypeError, ShapeError
from tinygrad_tx.testing import gradcheck

X = np.random.default_rng(5).normal(size=(3, 4))

FUNCTIONS: list[tuple[Callable[[Any], Any], Callable[[Any], Any]]] = [
    (lambda x: tx.cumulative_sum(x, axis=1), lambda x: np.cumulative_sum(x, axis=1)),
    (
        lambda x: tx.cumulative_sum(x, axis=0, include_initial=True),
        lambda x: np.cumulative_sum(x, axis=0, include_initial=True),
    ),
    (lambda x: tx.cumulative_prod(x, axis=1), lambda x: np.cumulative_prod(x, axis=1)),
    (
        lambda x: tx.cumulative_prod(x, axis=-2, include_initial=True),
        lambda x: np.cumulative_prod(x, axis=-2, include_initial=True),
    ),
    (lambda x: tx.diff(x, n=2), lambda x: np.diff(x, n=2)),
    (lambda x: tx.diff(x, axis=0, prepend=x), lambda x: np.diff(x, axis=0, prepend=x)),
    (lambda x: tx.tile(x, (2, 1, 3)), lambda x: np.tile(x, (2, 1, 3))),
    (lambda x: tx.tile(x, (2,)), lambda x: np.tile(x, (2,))),
    (lambda x: tx.repeat(x, 2, axis=1), lambda x: np.repeat(x, 2, axis=1)),
    (lambda x: tx.repeat(x, [1, 0, 3], axis=0), lambda x: np.repeat(x, [1, 0, 3], axis=0)),
    (lambda x: tx.roll(x, (1, -2), (0, 1)), lambda x: np.roll(x, (1, -2), (0, 1))),
    (lambda x: tx.expand_dims(x, (0, -1)), lambda x: np.expand_dims(x, (0, -1))),
    (lambda x: tx.moveaxis(x, (0, 1), (1, 0)), lambda x: np.moveaxis(x, (0, 1), (1, 0))),
    (lambda x: tx.unstack(x, axis=1)[2], lambda x: np.unstack(x, axis=1)[2]),
    (lambda x: tx.vecdot(x, x * 2, axis=0), lambda x: np.vecdot(x, x * 2, axis=0)),
    (lambda x: tx.meshgrid(x[0], x[:, 0])[1], lambda x: np.meshgrid(x[0], x[:, 0])[1]),
    (lambda x: tx.concat([x, x], axis=None), lambda x: np.concat([x, x], axis=None)),
    (lambda x: tx.broadcast_arrays(x, x[0])[1], lambda x: np.broadcast_arrays(x, x[0])[1]),
    (lambda x: tx.hypot(x, 1.0), lambda x: np.hypot(x, 1.0)),
    (lambda x: tx.logaddexp(x, x[0]), lambda x: np.logaddexp(x, x[0])),
    (lambda x: tx.prod(x, axis=0), lambda x: np.prod(x, axis=0)),
]


@pytest.mark.parametrize("index", range(len(FUNCTIONS)))
def test_values_gradients_and_the_recorded_form(index: int) -> None:
    ours, truth = FUNCTIONS[index]
    got = ours(tx.tensor(X))
    np.testing.assert_allclose(got.numpy(), truth(X), rtol=1e-12)
    np.testing.assert_allclose(tx.jit(ours)(X).numpy(), got.numpy(), rtol=1e-12)
    gradcheck(ours, [X])


def test_the_gradient_of_a_running_product_past_zeros() -> None:
    """Division by the factors would give NaN; the limit of differences is the truth."""
    x = np.array([2.0, 0.0, 3.0, 0.0, 5.0])
    got = tx.grad(lambda v: tx.cumulative_prod(v).sum())(x)
    np.testing.assert_allclose(got.numpy(), [1, 2 + 2 * 3, 0, 0, 0])


@given(
    rising=hnp.arrays(np.float64, st.integers(0, 6), elements=st.integers(-3, 3)),
    x=hnp.arrays(np.float64, hnp.array_shapes(min_dims=0, max_dims=2), elements=st.integers(-4, 4)),
    side=st.sampled_from(["left", "right"]),
    invert=st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_places_and_membership(rising: Any, x: Any, side: Any, invert: bool) -> None:
    order = np.argsort(rising)
    got = tx.searchsorted(rising, x, side=side, sorter=order)
    np.testing.assert_array_equal(got.numpy(), np.searchsorted(rising, x, side, order))
    expected = np.isin(x, rising, invert=invert)
    np.testing.assert_array_equal(tx.isin(x, rising, invert=invert).numpy(), expected)
    recorded = tx.jit(lambda v: tx.isin(v, rising, invert=invert))
    np.testing.assert_array_equal(recorded(x).numpy(), expected)


@given(x=hnp.arrays(np.float64, hnp.array_shapes(min_side=0, max_side=4),
                    elements=st.sampled_from([0.0, -0.0, 1.0, 2.5, np.nan, np.inf])))  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_distinct_values(x: Any) -> None:
    found, truth = tx.unique_all(x), np.unique_all(x)
    for got, expected in zip(found, truth, strict=True):
        np.testing.assert_array_equal(got.numpy(), expected)
    if not np.isnan(x).any():
        values, inverse = tx.unique_inverse(x)
        np.testing.assert_array_equal(tx.take(values, inverse).numpy(), x)
    for got, expected in zip(tx.nonzero(x), np.nonzero(x), strict=True):
        np.testing.assert_array_equal(got.numpy(), expected)
    assert tx.count_nonzero(x).item() == np.count_nonzero(x)


def test_shapes_that_depend_on_values_are_refused_while_recording() -> None:
    for function in (tx.unique_values, lambda x: tx.nonzero(x)[0]):
        with pytest.raises(CaptureError):
            tx.jit(function)(np.ones(3))
    with pytest.raises(ShapeError, match="0-d"):
        tx.nonzero(tx.tensor(1.0))


INTEGERS = st.sampled_from(["int32", "int64"])


@given(dtype=INTEGERS, base=st.integers(-6, 6), exponent=st.integers(0, 5), other=INTEGERS)
@settings(deadline=None, max_examples=40)
def test_integers_to_the_power_of_integers(
    dtype: str, base: int, exponent: int, other: str
) -> None:
    x, y = np.array([base, 2], dtype), np.array([[exponent], [3]], other)
    got = tx.tensor(x) ** tx.tensor(y)
    assert got.dtype == (x**y).dtype
    np.testing.assert_array_equal(got.numpy(), x**y)
    np.testing.assert_array_equal((tx.tensor(x) ** exponent).numpy(), x**exponent)
    with pytest.raises(DTypeError, match="no integer"):
        tx.tensor(x) ** -1
    with pytest.raises(DTypeError, match="no integer"):
        (tx.tensor(x) ** tx.tensor(-y - 1)).realize()


@given(x=hnp.arrays(np.int32, 3), y=hnp.arrays(np.int32, 3, elements=st.integers(0, 31)))
@settings(deadline=None, max_examples=40)
def test_bits(x: Any, y: Any) -> None:
    a, b = tx.tensor(x), tx.tensor(y)
    pairs = [
        (a & b, x & y), (a | b, x | y), (a ^ b, x ^ y), (~a, ~x), (a << b, x << y),
        (a >> b, x >> y),
        (7 & a, 7 & x), (7 | a, 7 | x), (7 ^ a, 7 ^ x), (1 << b, np.int32(1) << y), (+a, x),
        (tx.sign(a), np.sign(x)), (tx.floor(a), x), ((a > 0) ^ (b > 3), (x > 0) ^ (y > 3)),
    ]  # fmt: skip
    for got, expected in pairs:
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got.numpy(), expected)


def test_an_axis_that_is_not_there_is_a_value_and_an_index_error_as_in_numpy() -> None:
    for kind in (ShapeError, ValueError, IndexError):
        with pytest.raises(kind, match="axis 3"):
            tx.expand_dims(tx.ones(2), 3)


def test_dtypes_are_asked_about() -> None:
    info = tx.__array_namespace_info__()
    assert set(info.dtypes()) == {"bool", "int32", "int64", "float32", "float64"}
    assert set(info.dtypes(kind=("bool", "real floating"))) == {"bool", "float32", "float64"}
    assert info.devices() == (info.default_device(),)
    assert tx.finfo(tx.ones(1)).eps == float(np.finfo(np.float32).eps)
    assert tx.iinfo("int32").max == 2**31 - 1
    assert tx.isdtype(tx.int32, ("bool", "signed integer"))
    assert not tx.isdtype(tx.int32, "real floating")
    assert tx.can_cast(tx.int32, tx.float64)
    assert not tx.can_cast(tx.float64, tx.int32)
    assert tx.result_type(tx.ones(1), 1.0, tx.int32) == tx.float64
    assert tx.result_type(tx.ones(1), 1.0) == tx.float32
    for call in (lambda: tx.finfo(tx.int32), lambda: tx.iinfo(tx.float32), tx.result_type):
        with pytest.raises(DTypeError):
            call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: tx.vecdot(tx.ones(3), tx.ones(4)),
        lambda: tx.broadcast_shapes((2, 3), (4,)),
        lambda: tx.meshgrid(tx.ones(2), indexing="yx"),
        lambda: tx.tile(tx.ones(2), (-1,)),
        lambda: tx.repeat(tx.ones(2), [1, 2, 3]),
        lambda: tx.repeat(tx.ones(2), 1.5),
        lambda: tx.roll(tx.ones((2, 2)), (1, 2), (0,)),
        lambda: tx.moveaxis(tx.ones((2, 2)), (0, 0), (0, 1)),
        lambda: tx.cumulative_sum(tx.ones((2, 2))),
        lambda: tx.searchsorted(tx.ones((2, 2)), tx.ones(2)),
        lambda: tx.searchsorted(tx.ones(2), tx.ones(2), side="middle"),
        lambda: tx.diff(tx.ones(3), n=-1),
    ],
)
def test_what_does_not_fit_is_said(call: Callable[[], Any]) -> None:
    with pytest.raises(ShapeError):
        call()
