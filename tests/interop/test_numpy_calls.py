"""NumPy's functions and operators on tensors: ours where we have them, so gradients go through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_tx as tx
from tinygrad_tx.errors import CaptureError, DTypeError
from tinygrad_tx.tensor import numpy_calls

Array = np.ndarray[Any, Any]
UFUNCS = sorted(numpy_calls.UFUNCS)
RNG = np.random.default_rng(0)


def operands(ufunc: np.ufunc) -> list[Array]:
    """Operands in which the function has a value, of a dtype that it takes."""
    if ufunc.__name__.startswith("logical"):
        return [RNG.integers(0, 2, (2, 3)).astype(np.bool_) for _ in range(ufunc.nin)]
    if ufunc.types[-1].startswith(("qq", "QQ")) or "shift" in ufunc.__name__:
        return [RNG.integers(0, 5, (2, 3)) for _ in range(ufunc.nin)]
    if ufunc.__name__.startswith(("bitwise", "invert")):
        return [RNG.integers(-5, 5, (2, 3)) for _ in range(ufunc.nin)]
    low, high = (1.1, 2.0) if ufunc.__name__ == "arccosh" else (0.1, 0.9)
    shape = (3, 3) if ufunc.__name__ == "matmul" else (2, 3)
    return [RNG.uniform(low, high, shape) for _ in range(ufunc.nin)]


@pytest.mark.parametrize("name", UFUNCS)
def test_a_ufunc_gives_the_tensor_of_its_values(name: str) -> None:
    ufunc = getattr(np, name)
    arrays = operands(ufunc)
    expected = ufunc(*arrays)
    for first in range(len(arrays)):  # the tensor on either side of an array
        mixed = [tx.tensor(a) if i == first else a for i, a in enumerate(arrays)]
        got = ufunc(*mixed)
        assert isinstance(got, tx.Tensor)
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["add", "multiply", "maximum", "minimum"])
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions_of_ufuncs(name: str, keepdims: bool) -> None:
    x, ufunc = RNG.normal(size=(3, 4)), getattr(np, name)
    for axis in (0, 1, None, (0, 1)):
        got = ufunc.reduce(tx.tensor(x), axis=axis, keepdims=keepdims)
        assert isinstance(got, tx.Tensor)
        np.testing.assert_allclose(got.numpy(), ufunc.reduce(x, axis=axis, keepdims=keepdims))
    assert np.add.reduce(tx.tensor(x)).shape == (4,)
    np.testing.assert_allclose(np.add.accumulate(tx.tensor(x)).numpy(), np.add.accumulate(x))


FUNCTIONS: list[Callable[..., Any]] = [
    lambda x: np.sum(x, axis=1, keepdims=True),
    lambda x: np.mean(x, 0),
    lambda x: np.std(x, axis=0, ddof=1),
    lambda x: np.var(x),
    lambda x: np.max(x, axis=-1),
    lambda x: np.prod(x),
    lambda x: np.cumsum(x),
    lambda x: np.cumprod(x, axis=1),
    lambda x: np.concatenate([x, x], axis=1),
    lambda x: np.concatenate([x, x], axis=None),
    lambda x: np.stack([x, np.ones((3, 4))], axis=-1),
    lambda x: np.where(np.ones((3, 4), bool), x, 0.0),
    lambda x: np.reshape(x, (4, 3)),
    lambda x: np.ravel(x),
    lambda x: np.transpose(x),
    lambda x: np.transpose(x, (1, 0)),
    lambda x: np.swapaxes(x, 0, 1),
    lambda x: np.moveaxis(x, 0, -1),
    lambda x: np.expand_dims(x, (0, 2)),
    lambda x: np.squeeze(np.expand_dims(x, 0), axis=0),
    lambda x: np.broadcast_to(x, (2, 3, 4)),
    lambda x: np.einsum("ij,kj->ik", x, np.ones((2, 4))),
    lambda x: np.tensordot(x, np.ones((4, 2)), 1),
    lambda x: np.clip(x, -0.5, 0.5),
    lambda x: np.take(x, [2, 0], axis=0),
    lambda x: np.take(x, [2, 0]),
    lambda x: np.sort(x, axis=0),
    lambda x: np.sort(x, axis=None),
    lambda x: np.argsort(x),
    lambda x: np.flip(x, 1),
    lambda x: np.roll(x, (1, 2), (0, 1)),
    lambda x: np.repeat(x, 2, axis=0),
    lambda x: np.tile(x, 2),
    lambda x: np.tile(x, (2, 1, 2)),
    lambda x: np.diff(x, 2, axis=0),
    lambda x: np.tril(x, -1),
    lambda x: np.triu(x, 1),
    lambda x: np.zeros_like(x),
    lambda x: np.full_like(x, 3),
    lambda x: np.argmax(x, axis=1),
    lambda x: np.count_nonzero(x > 0, axis=0),
    lambda x: np.matrix_transpose(x),
    lambda x: np.ones((2, 3)) @ x,
    lambda x: np.float64(2) * x,
]


@pytest.mark.parametrize("index", range(len(FUNCTIONS)))
def test_functions_of_numpy_give_tensors(index: int) -> None:
    x, function = RNG.normal(size=(3, 4)), FUNCTIONS[index]
    got, expected = function(tx.tensor(x)), function(x)
    assert isinstance(got, tx.Tensor)
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-12)


def test_gradients_go_through_what_numpy_calls() -> None:
    x = RNG.normal(size=(3, 4))

    def loss(v: Any) -> Any:
        return np.sum(np.exp(np.concatenate([v, v * np.ones((3, 4))])) * np.arctan(2.0))

    got = tx.grad(loss)(x)
    np.testing.assert_allclose(got.numpy(), 2 * np.exp(x) * np.arctan(2.0))
    np.testing.assert_allclose(tx.jit(tx.grad(loss))(x).numpy(), got.numpy())


def test_what_numpy_alone_has_it_computes_from_values() -> None:
    x = RNG.normal(size=(3, 3))
    for function in (np.cbrt, np.linalg.inv, np.fft.rfft, np.percentile):
        more = (50,) if function is np.percentile else ()
        got = function(tx.tensor(x), *more)
        assert not isinstance(got, tx.Tensor)
        np.testing.assert_allclose(got, function(x, *more))
    np.testing.assert_allclose(np.sum(tx.tensor(x), where=x > 0), np.sum(x, where=x > 0))
    with pytest.raises(CaptureError):
        tx.jit(lambda v: np.cbrt(v))(x)


def test_a_gradient_never_ends_without_a_word() -> None:
    x = tx.ones(3, requires_grad=True)
    for call in (lambda: np.cbrt(x), lambda: np.linalg.norm(x), lambda: np.exp(x, where=[True])):
        with pytest.raises(TypeError, match=r"detach\(\)"):
            call()
    assert np.cbrt(x.detach()).tolist() == [1, 1, 1]
    assert np.allclose(x, 1)
    assert np.shape(x) == (3,)
    assert np.array_equal(x, np.ones(3))


def test_writing_goes_into_arrays_and_never_into_tensors() -> None:
    total = np.zeros(3)
    for _ in range(2):
        total += tx.ones(3)
    assert isinstance(total, np.ndarray)
    assert total.tolist() == [2, 2, 2]
    with pytest.raises(DTypeError, match="never changes"):
        np.exp(np.ones(3), out=tx.ones(3))  # type: ignore[call-overload]


SCALARS: list[Any] = [
    2,
    2.0,
    True,
    np.float32(2),
    np.float64(2),
    np.int64(2),
    np.int32(2),
    np.bool_(True),
]


@given(
    dtype=st.sampled_from(["float32", "float64", "int32", "int64"]),
    scalar=st.sampled_from(SCALARS),
    operation=st.sampled_from([np.add, np.multiply, np.divide, np.maximum]),
    turned=st.booleans(),
    array=hnp.array_shapes(min_dims=1, max_dims=2, max_side=3),
)
@settings(deadline=None, max_examples=80)
def test_python_numbers_are_weak_and_those_of_numpy_are_not(
    dtype: str, scalar: Any, operation: Any, turned: bool, array: tuple[int, ...]
) -> None:
    """NEP 50: the dtypes are those that NumPy itself gives."""
    x = np.ones(array, dtype)
    pair, ours = (x, scalar), (tx.tensor(x), scalar)
    pair, ours = (pair[::-1], ours[::-1]) if turned else (pair, ours)
    expected = operation(*pair)
    for got in (operation(*ours), getattr(tx, operation.__name__)(*ours)):
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(got.numpy(), expected)
