"""A captured function follows the mode of the modules that it calls."""

from __future__ import annotations

import numpy as np

import tinygrad_tx as tx

X = np.ones(1000, np.float32)


class Scaled(tx.nn.Module):
    """Twice while training; counts how often it is recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.recorded = 0

    def forward(self, x: tx.Tensor) -> tx.Tensor:
        self.recorded += 1
        return x * 2 if self.training else x


def test_eval_after_the_first_call_counts() -> None:
    drop = tx.nn.Dropout(0.5)
    step = tx.jit(lambda x: drop(x))
    assert (step(X).numpy() == 0).any()
    drop.eval()
    assert (step(X).numpy() == 1).all()
    drop.train()
    assert (step(X).numpy() == 0).any()


def test_each_mode_is_recorded_once() -> None:
    module = Scaled()
    step = tx.jit(lambda x: module(x))
    for _ in range(3):
        assert step(X).numpy()[0] == 2
        module.eval()
        assert step(X).numpy()[0] == 1
        module.train()
    assert module.recorded == 2
    step(X)
    assert module.recorded == 2


def test_other_modules_and_shapes_do_not_matter() -> None:
    module, other = Scaled(), Scaled()
    step = tx.jit(lambda x, scale: module(x) * scale)
    step(X, 2)
    other.eval()
    step(X, 2)
    assert module.recorded == 1
    module.eval()
    assert step(X, 3).numpy()[0] == 3
    module.train()
    assert step(X, 2).numpy()[0] == 4


def test_a_mode_that_the_function_sets_itself_is_its_own() -> None:
    module = Scaled()

    @tx.jit
    def measured(x: tx.Tensor) -> tx.Tensor:
        module.eval()
        return module(x)

    assert measured(X).numpy()[0] == 1
    module.train()
    assert measured(X).numpy()[0] == 1
    assert module.recorded == 1
    assert module.training


def test_one_of_several_modules_in_another_mode() -> None:
    first, second = Scaled(), Scaled()
    step = tx.jit(lambda x: first(x) + 10 * second(x))
    found = []
    for training in ((True, True), (False, True), (True, False), (False, False), (True, True)):
        first.training, second.training = training
        found.append(step(X).numpy()[0])
    assert found == [22, 21, 12, 11, 22]
