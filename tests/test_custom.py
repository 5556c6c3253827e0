"""checkpoint and custom_op: the same numbers, with another backward pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.errors import GraphError, ShapeError

Array = np.ndarray[Any, Any]


def values(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


def test_checkpoint_changes_neither_results_nor_gradients_of_any_order() -> None:
    w = tx.tensor(values(0, 3, 3), requires_grad=True)
    x = values(1, 2, 3)

    def layer(h: tx.Tensor) -> tx.Tensor:
        return tx.tanh(h @ w) * h

    def loss(h: tx.Tensor, wrapped: Any) -> tx.Tensor:
        return wrapped(wrapped(h)).sum()

    for derived in (tx.grad, lambda f: tx.grad(lambda h: (tx.grad(f)(h) ** 2).sum())):
        plain = derived(lambda h: loss(h, layer))(x)
        kept = derived(lambda h: loss(h, tx.checkpoint(layer)))(x)
        np.testing.assert_allclose(kept.numpy(), plain.numpy(), rtol=1e-12)
    loss(tx.tensor(x), tx.checkpoint(layer)).backward()
    assert w.grad is not None
    through = w.grad.numpy()
    w.grad = None
    loss(tx.tensor(x), layer).backward()
    np.testing.assert_allclose(through, w.grad.numpy(), rtol=1e-12)


def test_checkpoint_with_an_argument_passed_twice_and_several_results() -> None:
    def both(a: tx.Tensor, b: tx.Tensor) -> tuple[tx.Tensor, tx.Tensor]:
        return a * tx.exp(b), a - b * b

    def f(x: tx.Tensor, wrapped: Any) -> tx.Tensor:
        first, second = wrapped(x, x)
        return (first * second).sum()

    x = values(2, 4)
    got = tx.grad(lambda v: f(v, tx.checkpoint(both)))(x)
    np.testing.assert_allclose(got.numpy(), tx.grad(lambda v: f(v, both))(x).numpy(), rtol=1e-12)


def test_checkpoint_in_forward_mode() -> None:
    x, t = values(3, 4), values(4, 4)
    _, moved = tx.jvp(tx.checkpoint(lambda v: tx.sin(v) * v), (x,), (t,))
    np.testing.assert_allclose(moved.numpy(), (np.cos(x) * x + np.sin(x)) * t, rtol=1e-12)


def test_checkpointed_blocks_need_less_memory_and_give_the_same_step() -> None:
    config = tx.models.GPTConfig(17, 32, 6, 2, 64)

    def peak_and_loss(wrap: Any) -> tuple[int, float, Array]:
        model = tx.models.GPT(config, seed=1)
        for block in model.blocks:
            block.forward = wrap(block.forward)

        @tx.jit
        def step(x: tx.Tensor, y: tx.Tensor) -> tuple[tx.Tensor, tx.Tensor]:
            loss = model.loss(x, y)
            loss.backward()
            grad = model.position.weight.grad
            assert grad is not None
            return loss, grad

        tokens = np.arange(8 * 33).reshape(8, 33) % 17
        x, y = tokens[:, :-1].copy(), tokens[:, 1:].copy()
        loss, grad = step(x, y)
        return step.plan(x, y).peak_bytes, loss.item(), grad.numpy()

    plain, loss, grad = peak_and_loss(lambda f: f)
    less, same, close = peak_and_loss(tx.checkpoint)
    assert less < 0.6 * plain
    assert same == loss
    np.testing.assert_allclose(close, grad, rtol=1e-4, atol=1e-7)


def test_checkpointed_dropout_draws_the_same_numbers_again() -> None:
    """Where it drew others the gradient would not be that of the result."""

    @tx.jit
    def f(x: tx.Tensor) -> tuple[tx.Tensor, tx.Tensor]:
        out, pull = tx.vjp(tx.checkpoint(lambda v: tx.dropout(v, 0.5) * v), x)
        (gradient,) = pull(tx.ones_like(out))
        return out, gradient

    x = values(5, 100)
    for _ in range(3):
        out, gradient = f(x)
        np.testing.assert_allclose(gradient.numpy(), 2 * out.numpy() / x, rtol=1e-12)


def test_custom_gradient_of_a_function_of_tensors() -> None:
    @tx.custom_op
    def reversed_gradient(x: tx.Tensor) -> tx.Tensor:
        return x * 1.0

    @reversed_gradient.gradient
    def rule(cotangent: tx.Tensor, output: tx.Tensor, x: tx.Tensor) -> tx.Tensor:
        del output, x
        return -cotangent

    x = values(6, 3)
    got = tx.grad(lambda v: (reversed_gradient(v * 2) * v).sum())(x)
    np.testing.assert_allclose(got.numpy(), 2 * x - 2 * x, atol=1e-12)


def numpy_softplus(x: Array) -> Array:
    return np.logaddexp(0, x)


@pytest.mark.parametrize("captured", [False, True])
def test_a_numpy_function_as_an_operator(captured: bool) -> None:
    softplus = tx.custom_op(
        numpy_softplus,
        gradient=lambda c, y, x: c * tx.sigmoid(x),
        result=lambda x: (x.shape, x.dtype),
    )

    def f(x: tx.Tensor) -> tuple[tx.Tensor, tx.Tensor]:
        return softplus(x), tx.grad(lambda v: (softplus(v) * v).sum())(x)

    x = values(7, 2, 5)
    out, gradient = (tx.jit(f) if captured else f)(tx.tensor(x))
    np.testing.assert_allclose(out.numpy(), np.logaddexp(0, x))
    expected = np.logaddexp(0, x) + x / (1 + np.exp(-x))
    np.testing.assert_allclose(gradient.numpy(), expected, rtol=1e-12)


def test_several_results_of_a_custom_operator() -> None:
    split = tx.custom_op(
        lambda x: (x[:1].copy(), x[1:].copy()),
        gradient=lambda cs, ys, x: tx.concat(cs),
        result=lambda x: [((1,), x.dtype), ((x.shape[0] - 1,), x.dtype)],
    )
    x = values(8, 4)
    first, rest = split(tx.tensor(x))
    np.testing.assert_array_equal(np.concatenate([first.numpy(), rest.numpy()]), x)
    got = tx.grad(lambda v: (split(v)[1] ** 2).sum())(x)
    np.testing.assert_allclose(got.numpy(), np.where(np.arange(4) > 0, 2 * x, 0))


def test_mistakes_in_custom_operators_are_named() -> None:
    x = tx.tensor(values(9, 3))
    bare = tx.custom_op(lambda v: v * 2)
    with pytest.raises(GraphError, match="no gradient rule"):
        tx.grad(lambda v: bare(v).sum())(x)
    short = tx.custom_op(lambda v, w: v * w, gradient=lambda c, y, v, w: c)
    with pytest.raises(GraphError, match="1 for 2 inputs"):
        tx.grad(lambda v: short(v, v).sum())(x)
    wrong = tx.custom_op(lambda v: v * 2, gradient=lambda c, y, v: c[:2])
    with pytest.raises(ShapeError, match="float64"):
        tx.grad(lambda v: wrong(v).sum())(x)
    liar = tx.custom_op(numpy_softplus, result=lambda v: ((2,), v.dtype))
    with pytest.raises(ShapeError, match="numpy_softplus"):
        liar(x).numpy()


def test_stop_gradient() -> None:
    x = values(10, 3)
    got = tx.grad(lambda v: (tx.stop_gradient(v) * v).sum())(x)
    np.testing.assert_allclose(got.numpy(), x)


def test_forward_mode_of_a_numpy_function_is_refused_and_reverse_mode_offered() -> None:
    doubled = tx.custom_op(
        lambda v: v * 2, result=lambda v: (v.shape, v.dtype), gradient=lambda c, y, v: c * 2
    )
    with pytest.raises(GraphError, match=r"no rule for forward.*modes=\('reverse',\)"):
        tx.jvp(lambda v: doubled(v).sum(), (values(11, 3),), (np.ones(3),))
    slope = tx.grad(lambda v: doubled(v).sum())(values(11, 3))
    np.testing.assert_allclose(slope.numpy(), 2)
