"""Indexing, einsum and rearranging against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_tx as tx
from tinygrad_tx.errors import DTypeError, IndexRangeError, ShapeError

SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)


def numbered(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    return np.arange(int(np.prod(shape)), dtype=np.float64).reshape(shape)


@given(data=st.data(), shape=SHAPES)
@settings(deadline=None, max_examples=150)
def test_basic_indices(data: st.DataObject, shape: tuple[int, ...]) -> None:
    key = data.draw(hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
    x = numbered(shape)
    np.testing.assert_array_equal(tx.tensor(x)[key].numpy(), x[key])


@given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4))
@settings(deadline=None, max_examples=150)
def test_integer_arrays_and_masks(data: st.DataObject, shape: tuple[int, ...]) -> None:
    x = numbered(shape)
    rank = data.draw(st.integers(1, len(shape)))
    count = data.draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=1, max_side=3))
    key: list[Any] = []
    for axis in range(rank):
        size = shape[axis]
        indices = hnp.arrays(np.int64, count, elements=st.integers(-size, size - 1))
        masks = hnp.arrays(np.bool_, size)
        slices = st.slices(size)
        chosen = st.one_of(indices, slices) if count else st.one_of(slices, masks)
        key.append(data.draw(chosen))
    if sum(isinstance(k, np.ndarray) and k.dtype == bool for k in key) > 1:
        key = key[:1]
    np.testing.assert_array_equal(tx.tensor(x)[tuple(key)].numpy(), x[tuple(key)])


def test_a_mask_over_several_axes_and_gradients_through_repeats() -> None:
    x = numbered((3, 4))
    np.testing.assert_array_equal(tx.tensor(x)[x % 3 == 0].numpy(), x[x % 3 == 0])
    rows, columns = np.array([0, 0, 2]), np.array([1, 1, -1])
    got = tx.grad(lambda v: (v[rows, columns] ** 2).sum())(x)
    expected = np.zeros_like(x)
    np.add.at(expected, (rows, columns), 2 * x[rows, columns])
    np.testing.assert_array_equal(got.numpy(), expected)


@pytest.mark.parametrize(
    ("key", "error"),
    [
        ((3,), IndexRangeError),
        ((0, -5), IndexRangeError),
        ((0, 0, 0), IndexRangeError),
        (([0, 3],), IndexRangeError),
        (([0, 1], [0, 4]), IndexRangeError),
        (([0, 1], [0, 1, 2]), ShapeError),
        ((np.zeros(2, bool),), IndexRangeError),
        ((1.0,), DTypeError),
        ((True,), DTypeError),
        ((Ellipsis, Ellipsis), IndexRangeError),
    ],
)
def test_bad_indices(key: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        tx.ones((3, 4))[key].numpy()


def test_an_index_out_of_range_found_while_running_is_an_error() -> None:
    pick = tx.jit(lambda x, i, j: x[i, j])
    x, good = tx.ones((3, 4)), np.array([0, 1])
    assert pick(x, good, good).numpy().tolist() == [1, 1]
    for bad in ((good, good + 3), (good - 4, good)):
        with pytest.raises(IndexRangeError, match="out of range"):
            pick(x, *bad)


@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)]),
        ("bqd,bkd->bqk", [(2, 3, 4), (2, 5, 4)]),
        ("...ij,...jk->...ik", [(2, 2, 3), (2, 3, 4)]),
        ("...ij->...ji", [(2, 2, 3)]),
        ("ij->", [(2, 3)]),
        ("i,j", [(2,), (3,)]),
        ("ba", [(2, 3)]),
        ("ab,bc,cd->ad", [(2, 3), (3, 4), (4, 5)]),
        ("ij,ij->i", [(2, 3), (2, 3)]),
        ("bhqd,hdw->bqw", [(2, 3, 4, 5), (3, 5, 6)]),
        ("ij,jk->ik", [(2, 0), (0, 4)]),
        (",i->i", [(), (3,)]),
    ],
)
def test_einsum(subscripts: str, shapes: list[tuple[int, ...]]) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=s) for s in shapes]
    expected = np.einsum(subscripts, *arrays)
    np.testing.assert_allclose(tx.einsum(subscripts, *arrays).numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("subscripts", ["ii->i", "ij,jk", "ij->k", "i", "i1->i"])
def test_einsum_refuses_what_it_cannot_do(subscripts: str) -> None:
    with pytest.raises(ShapeError, match="einsum"):
        tx.einsum(subscripts, tx.ones((3, 4)))


@given(x=hnp.arrays(np.int64, SHAPES, elements=st.integers(0, 3)), data=st.data())
@settings(deadline=None, max_examples=60)
def test_roll_flip_and_sort(x: np.ndarray[Any, Any], data: st.DataObject) -> None:
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    shift = data.draw(st.integers(-9, 9))
    t = tx.tensor(x)
    np.testing.assert_array_equal(t.roll(shift, axis).numpy(), np.roll(x, shift, axis))
    np.testing.assert_array_equal(t.roll(shift).numpy(), np.roll(x, shift))
    np.testing.assert_array_equal(t.flip(axis).numpy(), np.flip(x, axis))
    np.testing.assert_array_equal(t.sort(axis).numpy(), np.sort(x, axis))
    order = t.argsort(axis).numpy()
    np.testing.assert_array_equal(order, np.argsort(x, axis, kind="stable"))


def test_topk_and_tensordot() -> None:
    x = np.random.default_rng(0).normal(size=(3, 5))
    values, places = tx.topk(tx.tensor(x), 2)
    np.testing.assert_array_equal(values.numpy(), -np.sort(-x, -1)[:, :2])
    np.testing.assert_array_equal(np.take_along_axis(x, places.numpy(), -1), values.numpy())
    y = np.random.default_rng(1).normal(size=(5, 3, 2))
    for axes in (0, ((0, 1), (1, 0)), ((1,), (-3,))):
        got = tx.tensordot(x, y, axes).numpy()
        np.testing.assert_allclose(got, np.tensordot(x, y, axes), rtol=1e-12)
    with pytest.raises(ShapeError, match="tensordot"):
        tx.tensordot(x, y, 1).numpy() if x.shape[1] != y.shape[0] else tx.tensordot(x, y, 2)
