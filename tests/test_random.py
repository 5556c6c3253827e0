"""Random numbers: known answers, distribution, and counters that are state."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_tx as tx
from tinygrad_tx.errors import DTypeError, ShapeError
from tinygrad_tx.ops.kernels.philox import philox
from tinygrad_tx.tensor import random


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        (
            (0xFFFFFFFF,) * 4,
            (0xFFFFFFFF,) * 2,
            (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
        ),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_published_known_answers(
    counter: tuple[int, ...], key: tuple[int, int], expected: tuple[int, ...]
) -> None:
    """The vectors of Random123 (Salmon et al. 2011)."""
    words = philox(*(np.uint64(c) for c in counter), *(np.uint64(k) for k in key))
    assert tuple(int(w) for w in words) == expected


def test_the_same_seed_draws_the_same_numbers_and_goes_on() -> None:
    tx.manual_seed(3)
    first, second = tx.rand(5).numpy(), tx.rand(5).numpy()
    tx.manual_seed(3)
    assert (tx.rand(5).numpy() == first).all()
    state = tx.get_state()
    assert (tx.rand(5).numpy() == second).all()
    tx.set_state(state)
    assert (tx.rand(5).numpy() == second).all()
    assert not (first == second).any()


def test_a_number_not_read_yet_stays_what_it_was() -> None:
    tx.manual_seed(0)
    first = tx.rand(3)
    tx.rand(3)
    tx.manual_seed(0)
    assert (first.numpy() == tx.rand(3).numpy()).all()


def test_replays_draw_new_numbers_the_same_as_outside_of_jit() -> None:
    def draw() -> tuple[tx.Tensor, tx.Tensor]:
        return tx.rand(3), tx.randn(2, 2)

    captured = tx.jit(draw)
    tx.manual_seed(11)
    inside = [[t.numpy() for t in captured()] for _ in range(3)]
    tx.manual_seed(11)
    outside = [[t.numpy() for t in draw()] for _ in range(3)]
    for a, b in zip(inside, outside, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_allclose(a[1], b[1], rtol=2e-6, atol=1e-6)
    assert not (inside[0][0] == inside[1][0]).any()


def test_a_failed_step_does_not_use_up_numbers() -> None:
    @tx.jit
    def f(x: tx.Tensor) -> tx.Tensor:
        return tx.require_finite(tx.rand(3) + x)

    tx.manual_seed(1)
    expected = f(0.0 * tx.ones(3)).numpy()
    tx.manual_seed(1)
    with pytest.raises(tx.errors.NonFiniteError):
        f(tx.full((3,), float("nan")))
    assert (f(0.0 * tx.ones(3)).numpy() == expected).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform_and_normal_have_their_moments(dtype: str) -> None:
    tx.manual_seed(0)
    n = 200_001
    u, z = tx.rand(n, dtype=dtype).numpy(), tx.randn(n, dtype=dtype).numpy().astype(float)
    assert u.dtype == dtype
    assert 0 <= u.min() < 1e-4
    assert 1 - 1e-4 < u.max() < 1
    counts, _ = np.histogram(u, 64, (0, 1))
    assert ((counts - n / 64) ** 2 / (n / 64)).sum() < 63 + 5 * (2 * 63) ** 0.5
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((z**power).mean() - moment) < 5 * (variance / n) ** 0.5


def test_randint_covers_its_range_and_randperm_permutes() -> None:
    tx.manual_seed(0)
    drawn = tx.randint(-2, 3, (5000,), "int32").numpy()
    assert drawn.dtype == np.int32
    assert set(drawn.tolist()) == {-2, -1, 0, 1, 2}
    assert sorted(tx.randperm(100).numpy().tolist()) == list(range(100))
    assert tx.randperm(100).numpy().tolist() != list(range(100))


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3,), (2, 3), (7, 5, 1)])
def test_shapes(shape: tuple[int, ...]) -> None:
    assert tx.rand(shape).shape == tx.randn(shape).shape == tx.randint(0, 2, shape).shape == shape
    assert tx.rand(shape).numpy().shape == tx.randn(shape).numpy().shape == shape


def test_dropout_keeps_the_mean_and_scales_the_gradient() -> None:
    tx.manual_seed(0)
    x = tx.ones((100_000,)).requires_grad_()
    y = tx.dropout(x, 0.25)
    y.sum().backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), y.numpy())
    assert set(np.unique(y.numpy())) == {np.float32(0), np.float32(4 / 3)}
    assert abs(y.numpy().mean() - 1) < 0.01
    layer = tx.nn.Dropout(0.5)
    assert (layer.eval()(x).numpy() == 1).all()


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="p is 1"):
        tx.dropout(tx.ones(3), 1.0)
    with pytest.raises(ShapeError, match="negative"):
        tx.rand(-1)
    with pytest.raises(DTypeError, match="rand"):
        tx.rand(3, dtype="int64")
    with pytest.raises(ValueError, match="low < high"):
        tx.randint(3, 3)
    with pytest.raises(ValueError, match="seed"):
        tx.manual_seed(1.5)  # type: ignore[arg-type]  # wrong on purpose


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 5), st.integers(1, 6), st.sampled_from(["uniform", "dropout", "attention"]))
def test_parts_of_a_draw_are_the_whole_draw(parts: int, rows: int, kind: str) -> None:
    """What ranks draw for their rows is what one process draws for all rows."""

    def draw(x: tx.Tensor) -> tx.Tensor:
        if kind == "uniform":
            return random.default.uniform(x.shape)
        if kind == "dropout":
            return tx.dropout(x, 0.5)
        q = tx.reshape(x, (-1, 1, 4, 2))
        return tx.attention(q, q, q, dropout=0.5)

    x = np.random.default_rng(0).normal(size=(parts * rows, 8)).astype(np.float32)
    tx.manual_seed(3)
    whole = [tx.jit(draw)(x).numpy(), draw(tx.tensor(x)).numpy()]
    state = tx.get_state()
    found: list[list[np.ndarray]] = [[], []]
    for which in range(parts):
        tx.manual_seed(3)
        mine = x[which * rows : (which + 1) * rows]
        with random.default.as_part(which, parts):
            found[0].append(tx.jit(draw)(mine).numpy())
            found[1].append(draw(tx.tensor(mine)).numpy())
        np.testing.assert_array_equal(tx.get_state(), state)
    for truth, pieces in zip(whole, found, strict=True):
        np.testing.assert_array_equal(np.concatenate(pieces), truth)
