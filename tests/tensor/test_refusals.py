"""What a tensor does when people treat it as in other libraries: assign, format, copy, pickle."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.errors import ArgumentError, GraphError, ShapeError

CONFIG = tx.models.GPTConfig(vocab_size=9, context=4, layers=1, heads=1, width=8)
TOKENS = np.array([[1, 2, 3]])


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_of_a_model_has_gradients_of_its_own(again) -> None:  # type: ignore[no-untyped-def]
    model = tx.models.GPT(CONFIG)
    other = again(model)
    assert np.array_equal(other(TOKENS), model(TOKENS))
    other.loss(TOKENS, TOKENS).backward()
    assert all(p.grad is not None for p in other.parameters())
    assert all(p.grad is None for p in model.parameters())
    tx.optim.SGD(other.parameters(), 0.5).step()
    assert not np.array_equal(other(TOKENS), model(TOKENS))


def test_what_two_attributes_share_a_copy_shares() -> None:
    model = tx.nn.Module()
    model.first = model.second = tx.ones(2, requires_grad=True)
    other = copy.deepcopy(model)
    assert other.first is other.second
    assert other.first is not model.first


def test_a_copy_of_a_model_by_shape_alone_takes_no_memory() -> None:
    other = copy.deepcopy(tx.models.abstract("gpt3-175b"))
    assert other.num_parameters() == tx.models.abstract("gpt3-175b").num_parameters()


def test_a_copy_of_a_result_is_its_values() -> None:
    result = tx.ones(2, requires_grad=True) * 3
    other = copy.deepcopy(result)
    assert (other.tolist(), other.requires_grad, result.requires_grad) == ([3, 3], False, True)


def test_in_place_operators_are_for_tensors_that_ask_for_no_gradient() -> None:
    x = before = tx.ones(2)
    x += 1
    x *= 3
    assert (x.tolist(), before.tolist()) == ([6, 6], [1, 1])
    y = tx.ones(2, requires_grad=True) * 1
    y -= 1  # a result, no parameter
    w = tx.ones(2, requires_grad=True)
    with pytest.raises(GraphError, match=r"-=.*assign_"):
        w -= 1
    with tx.no_grad(), pytest.raises(GraphError, match="assign_"):
        w /= 2
    assert w.requires_grad
    assert w.is_leaf


def test_requires_grad_may_be_set_for_a_leaf() -> None:
    w = tx.ones(2)
    w.requires_grad = True
    (w * w).sum().backward()
    assert w.grad is not None
    w.requires_grad = False
    assert not (w * 2).requires_grad


def test_a_number_is_formatted_as_a_number() -> None:
    assert f"{tx.tensor(2.0) / 3:.3f} {tx.tensor(7):03d}" == "0.667 007"
    assert f"{tx.ones(2)}" == "Tensor([1., 1.], float32)"
    with pytest.raises(ShapeError, match="one element"):
        f"{tx.ones(2):.3f}"


def test_no_grad_is_a_block_and_a_decorator() -> None:
    w = tx.ones(2, requires_grad=True)

    @tx.no_grad()
    def doubled(x: tx.Tensor) -> tx.Tensor:
        return x * 2

    assert not doubled(w).requires_grad
    with tx.no_grad(), tx.no_grad():
        pass
    assert (w * 2).requires_grad
    with pytest.raises(ArgumentError, match="parentheses"):
        tx.no_grad(doubled)
