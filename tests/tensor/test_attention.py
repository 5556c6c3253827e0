"""tx.attention in all its forms against softmax(q k^T) v in float64 NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_tx as tx
from tinygrad_tx.errors import ShapeError

Array = np.ndarray[Any, Any]


def truth(q: Array, k: Array, v: Array, scale: float, mask: Array | None, bias: Any) -> Array:
    """Equation 1 of Vaswani et al. 2017; zeros where a query may attend to nothing."""
    times = q.shape[-3] // k.shape[-3]
    k, v = np.repeat(k, times, -3), np.repeat(v, times, -3)
    scores = q @ k.swapaxes(-1, -2) * scale + bias
    if mask is not None:
        scores = np.where(mask, scores, -np.inf)
    top = scores.max(-1, keepdims=True)
    powers = np.exp(scores - np.where(np.isinf(top), 0, top))
    return powers / np.maximum(powers.sum(-1, keepdims=True), 1e-300) @ v


@given(
    batch=st.integers(1, 2),
    kv_heads=st.integers(1, 2),
    times=st.integers(1, 3),
    queries=st.integers(1, 40),
    extra=st.integers(0, 40),
    width=st.sampled_from([1, 3, 8, 32, 64]),
    causal=st.booleans(),
    masked=st.booleans(),
    biased=st.booleans(),
    captured=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=60)
def test_attention_agrees_with_its_equation(
    batch: int,
    kv_heads: int,
    times: int,
    queries: int,
    extra: int,
    width: int,
    causal: bool,
    masked: bool,
    biased: bool,
    captured: bool,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    heads, keys = kv_heads * times, queries + extra
    q = rng.normal(size=(batch, heads, queries, width))
    k, v = rng.normal(size=(2, batch, kv_heads, keys, width))
    mask = rng.random((batch, 1, queries, keys)) < 0.7
    mask[..., : queries // 3, :] = False
    bias = rng.normal(size=(heads, queries, keys))
    seen = np.tri(queries, keys, extra, dtype=bool) if causal else np.ones((queries, keys), bool)
    options = {"mask": mask if masked else None, "bias": bias if biased else None}
    expected = truth(
        q, k, v, width**-0.5, (seen & mask) if masked else seen, bias if biased else 0.0
    )

    def call(q: Any, k: Any, v: Any, mask: Any, bias: Any) -> tx.Tensor:
        return tx.attention(q, k, v, causal=causal, mask=mask, bias=bias)

    for dtype, bound in ((np.float64, 1e-12), (np.float32, 2e-5)):
        cast = [a.astype(dtype) for a in (q, k, v)]
        given_bias = None if options["bias"] is None else bias.astype(dtype)
        got = (tx.jit(call) if captured else call)(*cast, options["mask"], given_bias)
        np.testing.assert_allclose(got.numpy(), expected, atol=bound, rtol=bound)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("captured", [False, True])
def test_a_query_without_keys_gives_zeros_and_takes_no_gradient(dtype: Any, captured: bool) -> None:
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=(1, 2, 3, 8)).astype(dtype) for _ in range(3))
    mask = np.array([[True, True, False], [False, False, False], [True, True, True]])

    def call(q: Any, k: Any, v: Any) -> Any:
        out, pull = tx.vjp(lambda q, k, v: tx.attention(q, k, v, mask=mask), q, k, v)
        return out, *pull(tx.ones_like(out))

    out, dq, dk, dv = (t.numpy() for t in (tx.jit(call) if captured else call)(q, k, v))
    assert (out[..., 1, :] == 0).all()
    assert (dq[..., 1, :] == 0).all()
    for found in (out[..., [0, 2], :], dq, dk, dv):
        assert np.isfinite(found).all()
    # What the other queries get is what they get alone.
    alone = tx.attention(q[..., [0, 2], :], k, v, mask=mask[[0, 2]])
    np.testing.assert_allclose(out[..., [0, 2], :], alone.numpy(), rtol=1e-5)


def test_a_nan_comes_through_even_where_all_else_is_hidden() -> None:
    q = np.ones((1, 1, 2, 4), np.float32)
    k = q.copy()
    k[..., 0, 0] = np.nan
    mask = np.array([[True, False], [False, True]])
    got = tx.attention(q, k, q, mask=mask).numpy()
    assert np.isnan(got[..., 0, :]).all()


def test_dropout_drops_weights_of_the_pattern() -> None:
    tx.manual_seed(0)
    q, k = np.zeros((1, 1, 400, 2), np.float32), np.zeros((1, 1, 50, 2), np.float32)
    v = np.ones((1, 1, 50, 2), np.float32)
    got = tx.attention(q, k, v, dropout=0.3).numpy()
    assert abs(got.mean() - 1) < 0.02
    assert got.std() > 0.05


@pytest.mark.parametrize("heads", [(3, 2), (2, 3)])
def test_heads_that_do_not_divide_are_refused(heads: tuple[int, int]) -> None:
    q, k = np.zeros((1, heads[0], 4, 8)), np.zeros((1, heads[1], 4, 8))
    with pytest.raises(ShapeError, match="heads"):
        tx.attention(q, k, k)


@pytest.mark.parametrize(("kv_heads", "width", "masked"), [(2, 32, False), (1, 7, True)])
def test_dropout_in_the_kernel_is_dropout_of_the_pattern(
    kv_heads: int, width: int, masked: bool
) -> None:
    """Values and gradients of the float32 kernel against the float64 expansion, same draws."""
    rng = np.random.default_rng(1)
    q = rng.normal(size=(2, 2, 50, width))
    k, v = rng.normal(size=(2, 2, kv_heads, 53, width))
    mask = rng.random((50, 53)) < 0.8 if masked else None

    def call(q: Any, k: Any, v: Any) -> Any:
        def attend(q: Any, k: Any, v: Any) -> Any:
            return tx.attention(q, k, v, causal=not masked, mask=mask, dropout=0.4)

        out, pull = tx.vjp(attend, q, k, v)
        return out, pull(tx.cos(out))

    found = []
    for dtype in (np.float32, np.float64):
        tx.manual_seed(7)
        out, pulled = tx.jit(call)(*(tx.tensor(a.astype(dtype)) for a in (q, k, v)))
        found.append([t.numpy() for t in (out, *pulled)])
    for single, double in zip(*found, strict=True):
        np.testing.assert_allclose(single, double, atol=2e-5 * np.abs(double).max())


@pytest.mark.parametrize(
    "options", [{"causal": True}, {"mask": np.ones((1, 4096), bool)}, {"dropout": 0.1}]
)
def test_memory_grows_in_line_with_time(options: dict[str, Any]) -> None:
    """Forward and backward pass of 4,096 queries and keys stay far below their 64 MB of scores."""
    q, k, v = (np.zeros((1, 1, 4096, 24), np.float32) for _ in range(3))

    def call(q: Any, k: Any, v: Any) -> Any:
        out, pull = tx.vjp(lambda q, k, v: tx.attention(q, k, v, **options), q, k, v)
        return pull(out)

    assert tx.jit(call).plan(q, k, v).peak_bytes < 16_000_000
