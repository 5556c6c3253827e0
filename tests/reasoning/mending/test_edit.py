"""Edits of weights are put in and taken back to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

import tinygrad_tx as tx
from tinygrad_tx.errors import CheckpointError
from tinygrad_tx.nn import Linear
from tinygrad_tx.reasoning.mending.edit import Edit, fingerprint

PATH = "weight"


def linear() -> Linear:
    return Linear(2, 3, np.random.default_rng(0))


@given(st.data())
@settings(deadline=None, max_examples=50)
def test_taking_back_restores_every_bit_of_any_numbers(data: st.DataObject) -> None:
    numbers = arrays(np.float32, (2, 3), elements=st.floats(width=32))
    before, after = data.draw(numbers), data.draw(numbers)
    model = linear()
    model.weight.assign_(before)
    bits = fingerprint(model)
    edit = Edit(model, {PATH: model.weight.numpy().copy()}, {PATH: after}).apply()
    assert model.weight.numpy().tobytes() == after.tobytes()
    assert edit.changed == (before.view(np.uint32) != after.view(np.uint32)).sum()
    edit.take_back()
    assert fingerprint(model) == bits


def test_minus_zero_and_nan_are_bits_like_others() -> None:
    model = linear()
    odd = np.array([[-0.0, np.nan, np.inf], [1, 2, 3]], np.float32)
    model.weight.assign_(odd)
    edit = Edit(model, {PATH: odd}, {PATH: np.zeros((2, 3), np.float32)})
    assert edit.changed == 6  # -0 is not 0
    with edit.applied():
        assert edit.is_applied
    assert not edit.is_applied
    assert model.weight.numpy().tobytes() == odd.tobytes()


def test_an_edit_of_a_model_that_changed_meanwhile_is_refused() -> None:
    model = linear()
    old = model.weight.numpy().copy()
    first = Edit(model, {PATH: old}, {PATH: old + 1})
    second = Edit(model, {PATH: old + 1}, {PATH: old + 2})
    with pytest.raises(CheckpointError, match=r"put in.*weight"):
        second.apply()
    first.apply()
    second.apply()
    with pytest.raises(CheckpointError, match="take back later edits first"):
        first.take_back()
    second.take_back()
    first.take_back()
    np.testing.assert_array_equal(model.weight.numpy(), old)


def test_what_fails_inside_still_takes_the_edit_back() -> None:
    model = linear()
    old = model.weight.numpy().copy()
    edit = Edit(model, {PATH: old}, {PATH: old + 1})
    with pytest.raises(ZeroDivisionError), edit.applied():
        raise ZeroDivisionError
    np.testing.assert_array_equal(model.weight.numpy(), old)


def test_a_recorded_function_sees_the_edit_without_recording_again() -> None:
    model = linear()
    run = tx.jit(lambda x: model(x))
    x = np.ones((1, 2), np.float32)
    before = run(x).numpy().copy()
    old = model.weight.numpy().copy()
    with Edit(model, {PATH: old}, {PATH: old + 1}).applied():
        np.testing.assert_allclose(run(x).numpy(), before + 2, rtol=1e-6)
    np.testing.assert_array_equal(run(x).numpy(), before)
