"""Position schemes against their papers' equations, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_tx as tx
from tinygrad_tx.errors import ShapeError

RNG = np.random.default_rng(0)


@settings(max_examples=10, deadline=None)
@given(time=st.integers(1, 9), half=st.integers(1, 5), start=st.integers(0, 7))
def test_rotary_turns_each_pair_by_its_angle(time: int, half: int, start: int) -> None:
    """Su et al. 2021: a complex number times e^(i t theta)."""
    x = RNG.normal(size=(2, 3, time, 2 * half)).astype(np.float32)
    rotary = tx.nn.Rotary(2 * half, 20, base=100.0)
    z = x[..., :half] + 1j * x[..., half:]
    angles = np.arange(start, start + time)[:, None] * 100.0 ** (-np.arange(half) / half)
    turned = z * np.exp(1j * angles)
    expected = np.concatenate([turned.real, turned.imag], -1)
    np.testing.assert_allclose(rotary.turned(tx.tensor(x), start).numpy(), expected, atol=1e-5)
    each = rotary.turned(tx.tensor(x), tx.tensor(np.array([start, start]))).numpy()
    np.testing.assert_allclose(each, expected, atol=1e-5)


def test_rotary_scores_depend_on_the_distance_alone() -> None:
    rotary = tx.nn.Rotary(8, 64)
    q, k = RNG.normal(size=(2, 1, 1, 1, 8)).astype(np.float32)

    def score(i: int, j: int) -> float:
        a, b = rotary.turned(tx.tensor(q), i).numpy(), rotary.turned(tx.tensor(k), j).numpy()
        return float((a * b).sum())

    assert score(5, 2) == pytest.approx(score(40, 37), abs=1e-5)
    assert score(5, 2) != pytest.approx(score(5, 3), abs=1e-3)


def test_alibi_has_the_slopes_of_the_paper() -> None:
    """Press et al. 2022, section 3: 1/2, 1/4, ... for 8 heads; the bias is -slope x distance."""
    bias = tx.nn.ALiBi(8)(4, 4).numpy()
    for head in range(8):
        for i in range(4):
            for j in range(4):
                assert bias[head, i, j] == pytest.approx(-(2.0 ** -(head + 1)) * abs(i - j))
    assert tx.nn.ALiBi(12).slopes.shape == (12, 1, 1)


def test_relative_buckets_are_exact_near_and_wide_far() -> None:
    """Raffel et al. 2020, section 2.1: half of a direction's buckets hold one distance each."""
    one_way = tx.nn.RelativeBias(2, np.random.default_rng(0), both_ways=False)
    bucket = one_way.bucket_of.numpy()[: one_way.farthest + 1][::-1]  # of distances 0, 1, 2, ...
    assert bucket[:16].tolist() == list(range(16))
    assert (np.diff(bucket) >= 0).all()
    assert bucket[-1] == 31
    both = tx.nn.RelativeBias(2, np.random.default_rng(0), both_ways=True)
    before, behind = both._buckets(np.array([-3])), both._buckets(np.array([3]))
    assert (before[0], behind[0]) == (3, 16 + 3)


def test_shaw_adds_a_vector_to_each_key() -> None:
    """Shaw et al. 2018, equation 4, in float64."""
    shaw = tx.nn.ShawRelative(4, np.random.default_rng(1), farthest=2)
    q = RNG.normal(size=(1, 2, 5, 4)).astype(np.float32)
    a = shaw.weight.numpy().astype(np.float64)
    expected = np.empty((1, 2, 5, 5))
    for i in range(5):
        for j in range(5):
            expected[..., i, j] = q[..., i, :] @ a[np.clip(j - i, -2, 2) + 2] / 2.0
    np.testing.assert_allclose(shaw(tx.tensor(q), 5).numpy(), expected, atol=1e-5)


def test_sinusoidal_is_equation_of_section_3_5() -> None:
    table = tx.nn.Sinusoidal(7, 6)(7).numpy()
    for t in range(7):
        for i in range(3):
            angle = t / 10_000 ** (2 * i / 6)
            assert table[t, 2 * i] == pytest.approx(np.sin(angle), abs=1e-6)
            assert table[t, 2 * i + 1] == pytest.approx(np.cos(angle), abs=1e-6)


@pytest.mark.parametrize("scheme", ["rotary", "alibi", "t5", "shaw"])
def test_attention_with_a_scheme_is_the_equation(scheme: str) -> None:
    """A whole MultiHeadAttention with fewer key heads, in float64 NumPy."""
    rng = np.random.default_rng(3)
    heads, own, width, time = 4, 2, 6, 5
    position: Any = {
        "rotary": lambda: tx.nn.Rotary(width, 16),
        "alibi": lambda: tx.nn.ALiBi(heads),
        "t5": lambda: tx.nn.RelativeBias(heads, rng, both_ways=False, buckets=8, farthest=5),
        "shaw": lambda: tx.nn.ShawRelative(width, rng, farthest=3),
    }[scheme]()
    part = tx.nn.MultiHeadAttention(
        16, heads, rng, causal=True, kv_heads=own, head_width=width, position=position
    )
    x = rng.normal(size=(2, time, 16)).astype(np.float32)
    qkv = x.astype(np.float64) @ part.qkv.weight.numpy() + part.qkv.bias.numpy()  # type: ignore[union-attr]
    split = qkv.reshape(2, time, heads + 2 * own, width).transpose(0, 2, 1, 3)
    q, k, v = split[:, :heads], split[:, heads : heads + own], split[:, heads + own :]
    tq = tx.tensor(q.astype(np.float32))
    q64 = position.turned(tq).numpy().astype(np.float64)
    k64 = position.turned(tx.tensor(k.astype(np.float32))).numpy().astype(np.float64)
    bias = position.bias(tq, time)
    scores = q64 @ np.repeat(k64, 2, 1).swapaxes(-1, -2) / np.sqrt(width)
    scores = scores + (0 if bias is None else bias.numpy())
    scores = np.where(np.tri(time, dtype=bool), scores, -np.inf)
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    context = powers / powers.sum(-1, keepdims=True) @ np.repeat(v, 2, 1)
    joined = context.transpose(0, 2, 1, 3).reshape(2, time, heads * width)
    expected = joined @ part.projection.weight.numpy()
    np.testing.assert_allclose(part(tx.tensor(x)).numpy(), expected, atol=1e-5)


def test_whole_numbers_stay_whole_under_clip_and_extremes() -> None:
    x = tx.tensor([3, -7, 5])
    assert x.clip(-2, 4).dtype == tx.int64
    assert x.clip(-2, 4).tolist() == [3, -2, 4]
    assert tx.maximum(x, 4).tolist() == [4, 4, 5]
    assert tx.minimum(x, tx.tensor([1.5, 0.0, 9.0])).dtype == tx.float64


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda r: tx.nn.MultiHeadAttention(10, 3, r), "width 10"),
        (lambda r: tx.nn.MultiHeadAttention(12, 4, r, kv_heads=3), "4 heads"),
        (lambda r: tx.nn.Rotary(5, 8), "odd"),
        (lambda r: tx.nn.RelativeBias(2, r, False, 8, 4), "farthest is 4"),
    ],
)
def test_heads_that_do_not_divide_are_refused(make: Any, words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        make(np.random.default_rng(0))
