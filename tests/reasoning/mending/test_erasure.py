"""Concept erasure against float64 linear algebra: what it promises, and that nothing does it with
less."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_tx as tx
from tinygrad_tx import reasoning
from tinygrad_tx.errors import DataError, IndexRangeError, NonFiniteError, ShapeError
from tinygrad_tx.reasoning.mending import erasure

Array = np.ndarray[Any, Any]


def data(seed: int, examples: int, width: int, columns: int, rank: int | None = None) -> Any:
    """Correlated activations, and a concept that depends on them linearly, in part by chance."""
    rng = np.random.default_rng(seed)
    rank = width if rank is None else rank
    x = rng.normal(size=(examples, rank)) @ rng.normal(size=(rank, width)) + rng.normal(size=width)
    z = x @ rng.normal(size=(width, columns)) + rng.normal(size=(examples, columns))
    return x, z


def cross(x: Array, z: Array) -> Array:
    return (x - x.mean(0)).T @ (z - z.mean(0)) / len(x)


shapes = st.tuples(st.integers(0, 9999), st.integers(2, 40), st.integers(1, 12), st.integers(1, 3))


@given(shapes, st.sampled_from(erasure.WAYS))
@settings(deadline=None)
def test_what_is_left_is_uncorrelated_with_the_concept(shape: Any, how: str) -> None:
    x, z = data(*shape)
    r = reasoning.eraser(x, z, how)(x)
    assert np.abs(cross(r, z)).max() <= 1e-8 * (1 + np.abs(cross(x, z)).max())


@given(shapes, st.sampled_from(erasure.WAYS))
@settings(deadline=None)
def test_erasing_twice_is_erasing_once(shape: Any, how: str) -> None:
    x, z = data(*shape)
    found = reasoning.eraser(x, z, how)
    once = found(x)
    np.testing.assert_allclose(found(once), once, atol=1e-7 * (1 + np.abs(x).max()))
    np.testing.assert_allclose(found.matrix() @ found.matrix(), found.matrix(), atol=1e-6)
    np.testing.assert_allclose(once.mean(0), x.mean(0), atol=1e-8 * (1 + np.abs(x).max()))


def test_leace_is_its_definition_by_an_independent_route() -> None:
    x, z = data(3, 200, 8, 2)
    c = x - x.mean(0)
    values, vectors = np.linalg.eigh(c.T @ c / 200)
    root = vectors * np.sqrt(values) @ vectors.T  # Sxx^1/2, as in the theorem
    w = np.linalg.inv(root)
    whitened = w @ cross(x, z)
    onto = whitened @ np.linalg.pinv(whitened)
    expected = x - c @ (root @ onto @ w).T
    np.testing.assert_allclose(reasoning.eraser(x, z)(x), expected, atol=1e-9)


def test_no_affine_map_that_erases_moves_less_than_leace() -> None:
    x, z = data(5, 300, 6, 2)
    found = reasoning.eraser(x, z)
    c, sxz = x - x.mean(0), cross(x, z)
    rng = np.random.default_rng(0)
    norms = [np.eye(6), *(a @ a.T for a in rng.normal(size=(3, 6, 6)))]
    free = np.eye(6) - sxz @ np.linalg.pinv(sxz)  # rows that do nothing to Sxz
    for norm in norms:
        moved = np.einsum("ni,ij,nj->", found(x) - x, norm, found(x) - x)
        for size in (1e-3, 0.1, 1.0):
            # All maps x + M c with (I + M) Sxz = 0 differ from LEACE's by N with N Sxz = 0.
            other = -found.matrix().T + size * rng.normal(size=(6, 6)) @ free
            np.testing.assert_allclose((np.eye(6) + other) @ sxz, 0, atol=1e-9)
            step = c @ other.T
            assert np.einsum("ni,ij,nj->", step, norm, step) > moved


@pytest.mark.parametrize("how", ["means", "inlp"])
def test_other_projections_erase_as_well_and_move_more(how: str) -> None:
    x, z = data(7, 300, 10, 1)
    moved = [((reasoning.eraser(x, z, h)(x) - x) ** 2).sum() for h in ("leace", how)]
    assert moved[1] > 1.05 * moved[0]


def test_for_two_classes_means_is_the_projection_off_the_difference_of_means() -> None:
    x, _ = data(11, 100, 5, 1)
    labels = np.arange(100) % 2
    v = x[labels == 1].mean(0) - x[labels == 0].mean(0)
    v /= np.linalg.norm(v)
    np.testing.assert_allclose(
        reasoning.eraser(x, labels, "means").matrix(), np.outer(v, v), atol=1e-9
    )


@pytest.mark.parametrize("how", erasure.WAYS)
def test_a_least_squares_probe_has_weight_zero_and_a_logistic_one_gains_nothing(how: str) -> None:
    x, _ = data(13, 400, 6, 1)
    labels = (x[:, 0] + x[:, 1] > np.median(x[:, 0] + x[:, 1])).astype(int)
    r = reasoning.eraser(x, labels, how)(x)
    one = np.concatenate([r - r.mean(0), np.ones((400, 1))], 1)
    weights = np.linalg.lstsq(one, labels.astype(float), rcond=1e-8)[0]
    np.testing.assert_allclose(weights[:-1], 0, atol=1e-9)
    assert logistic_loss(r, labels) == pytest.approx(np.log(2), abs=1e-6)
    assert logistic_loss(x, labels) < 0.3


def logistic_loss(x: Array, labels: Array, steps: int = 200) -> float:
    """The least mean loss of a logistic probe, by Newton's method with a trace of ridge."""
    f = np.concatenate([(x - x.mean(0)) / (x.std() + 1e-12), np.ones((len(x), 1))], 1)
    w = np.zeros(f.shape[1])
    for _ in range(steps):
        p = 1 / (1 + np.exp(-f @ w))
        hessian = f.T @ (f * (p * (1 - p))[:, None]) + 1e-6 * len(x) * np.eye(f.shape[1])
        w -= 0.5 * np.linalg.solve(hessian, f.T @ (p - labels) + 1e-6 * len(x) * w)
    margin = f @ w * (2 * labels - 1)
    return float(np.log1p(np.exp(-margin)).mean())


def test_the_rank_is_that_of_the_concept_not_of_its_columns() -> None:
    x, _ = data(17, 300, 8, 1)
    labels = np.arange(300) % 3
    x += np.eye(8)[labels] * 5
    assert reasoning.eraser(x, labels).rank == 2  # three columns that add up to one
    assert reasoning.eraser(x, np.zeros((300, 1))).rank == 0


def test_activations_of_low_rank_need_no_inverse() -> None:
    x, z = data(19, 100, 12, 1, rank=4)
    found = reasoning.eraser(x, z)
    assert np.abs(found.matrix()).max() < 1e3
    assert np.abs(cross(found(x), z)).max() < 1e-9


def test_only_linear_traces_go() -> None:
    rng = np.random.default_rng(0)
    quarter = rng.normal(size=(500, 4))
    mirrored = [quarter * [a, b, 1, 1] for a in (1, -1) for b in (1, -1)]
    x = np.concatenate(mirrored)
    labels = (x[:, 0] * x[:, 1] > 0).astype(int)  # linear probes see nothing of it to begin with
    np.testing.assert_allclose(reasoning.eraser(x, labels)(x), x, atol=1e-9)


MODEL = tx.models.GPT(tx.models.GPTConfig(20, 8, 2, 2, 16), seed=1).eval()
for _p in MODEL.parameters():
    _p.assign_(_p.numpy() * 8)
TOKENS = np.random.default_rng(0).integers(0, 20, (64, 8))
LABELS = (TOKENS[:, 2] < 10).astype(int)


def test_a_model_under_erasure_has_no_linear_trace_at_any_of_the_points() -> None:
    at = "blocks.*.residual_after_feed_forward"
    changed = reasoning.erase(MODEL, TOKENS, LABELS, at, positions=5)
    found = reasoning.look(MODEL, TOKENS, at, changed.changes)
    for path, x in found.items():
        plain = reasoning.capture(MODEL, TOKENS, path)[path].numpy()[:, 5]
        left = cross(x.numpy()[:, 5].astype(np.float64), LABELS[:, None])
        assert np.abs(left).max() < 1e-5 * np.abs(plain).max(), path
        assert np.abs(cross(plain, LABELS[:, None])).max() > 1e-2 * np.abs(plain).std(), path


@pytest.mark.parametrize("how", erasure.WAYS)
def test_what_stands_at_the_point_is_what_the_map_makes_of_it(how: str) -> None:
    at = "blocks.0.residual_after_feed_forward"
    found = reasoning.erasers(MODEL, TOKENS, LABELS, at, positions=5, how=how)[at]
    assert np.abs(found.mean).max() > 0.1
    plain = reasoning.capture(MODEL, TOKENS, at)[at].numpy()
    moved = reasoning.look(MODEL, TOKENS, at, {at: found.change()})[at].numpy()
    np.testing.assert_allclose(moved, found(plain), atol=1e-4 * np.abs(plain).max())


def test_a_mask_reads_the_concept_at_each_token_that_it_names() -> None:
    at = "blocks.0.residual_before"
    mask = TOKENS > 8
    found = reasoning.erasers(MODEL, TOKENS, (TOKENS[mask] > 14).astype(int), at, positions=mask)
    rows = reasoning.capture(MODEL, TOKENS, at)[at].numpy()[mask].astype(np.float64)
    expected = reasoning.eraser(rows, (TOKENS[mask] > 14).astype(int))
    np.testing.assert_allclose(found[at].matrix(), expected.matrix(), atol=1e-9)
    with pytest.raises(ShapeError, match="mask"):
        reasoning.erase(MODEL, TOKENS, LABELS, at, positions=mask[:, :3])


def test_words_lose_the_concept_in_their_own_rows_alone() -> None:
    words, concept = np.arange(4, 16), np.linspace(-1, 2, 12)[:, None]
    before = MODEL.embedding.weight.numpy().copy()
    edit = reasoning.erase_words(MODEL, words, concept)
    with edit.applied():
        after = MODEL.embedding.weight.numpy().copy()
    outside = np.setdiff1d(np.arange(20), words)
    np.testing.assert_array_equal(after[outside], before[outside])
    assert np.abs(cross(after[words].astype(np.float64), concept)).max() < 1e-6
    assert np.abs(cross(before[words], concept)).max() > 1e-3
    assert MODEL.embedding.weight.numpy().tobytes() == before.tobytes()
    with pytest.raises(ShapeError, match="twice"):
        reasoning.erase_words(MODEL, [1, 1], [0, 1])
    with pytest.raises(IndexRangeError, match="20 rows"):
        reasoning.erase_words(MODEL, [1, 20], [0, 1])


def test_it_writes_with_a_cache_what_it_would_write_without() -> None:
    changed = reasoning.erase(MODEL, TOKENS, LABELS, "blocks.0.residual_before", positions=2)
    text = [3, 1, 4]
    for token in changed.generate(text, 5, temperature=0):
        assert token == int(changed(np.array([text])).numpy()[0, -1].argmax())
        text = [*text, token]


def test_held_out_examples_are_guarded_too() -> None:
    rng = np.random.default_rng(5)
    train, other = rng.integers(0, 20, (2, 4000, 8))
    at = "blocks.0.residual_before"
    found = reasoning.erasers(MODEL, train, train[:, 2] < 10, at, positions=2)
    guard = reasoning.guardedness(MODEL, other, other[:, 2] < 10, found, positions=2)
    assert guard.before[0] > 0.9
    assert guard.after[0] < guard.chance + 0.12
    assert guard.transferred is None
    assert "probe after" in guard.table().text()


def test_a_probe_from_the_erasers_own_examples_finds_nothing_in_others() -> None:
    # Texts of a few kinds and no noise: a new probe may find what their shares mix in.
    rng = np.random.default_rng(6)
    kinds = rng.integers(0, 20, (12, 8))
    kinds[:8, 2], kinds[8:, 2] = rng.integers(0, 10, 8), rng.integers(10, 20, 4)
    even = kinds[np.arange(1200) % 12]
    uneven = kinds[rng.choice(12, 1200, p=rng.dirichlet(np.ones(12)))]
    labels = [(t[:, 2] < 10).astype(int) for t in (even, uneven)]
    found = reasoning.erasers(MODEL, even, labels[0], "blocks.0.residual_before", positions=5)
    guard = reasoning.guardedness(
        MODEL, uneven, labels[1], found, positions=5, first=(even, labels[0], 5)
    )
    # It says the same of all: the class that was more frequent where it was fitted.
    always = guard.transferred[0]
    assert min(abs(always - guard.chance), abs(always - 1 + guard.chance)) < 1e-9
    assert guard.after[0] >= always
    assert "other shares" in guard.table().text()


def test_bad_input_is_refused() -> None:
    x, z = data(1, 10, 4, 1)
    with pytest.raises(DataError, match="two classes"):
        reasoning.eraser(x, np.zeros(10, int))
    with pytest.raises(NonFiniteError, match="not finite"):
        reasoning.eraser(np.where(x > 0, x, np.nan), z)
    with pytest.raises(ShapeError, match="for 10 examples"):
        reasoning.eraser(x, z[:9])
    with pytest.raises(DataError, match="leace"):
        reasoning.eraser(x, z, "magic")
    with pytest.raises(ShapeError, match="residual stream"):
        reasoning.erase(MODEL, TOKENS, LABELS, "blocks.0.attention.pattern")
    with pytest.raises(ShapeError, match="8 tokens"):
        reasoning.erase(MODEL, TOKENS, LABELS, "blocks.0.residual_before", positions=8)


def test_one_example_and_one_unit_do_not_crash() -> None:
    found = reasoning.eraser(np.array([[1.0, 2.0]]), np.array([[3.0]]))
    np.testing.assert_array_equal(found(np.array([[5.0, 6.0]])), [[5.0, 6.0]])
    x = np.array([[1.0], [2.0], [4.0]])
    np.testing.assert_allclose(reasoning.eraser(x, x)(x), x.mean(), atol=1e-12)
