"""Probes read what was planted, and no more; codes and controls are what their papers define."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_tx as tx
from tinygrad_tx import reasoning
from tinygrad_tx.errors import DataError, NonFiniteError, PointError, ShapeError
from tinygrad_tx.reasoning.trust.decoders import fit_decoder
from tinygrad_tx.reasoning.trust.intervals import bounds, interval, rank_correlation, resampled
from tinygrad_tx.reasoning.trust.minimise import minimise
from tinygrad_tx.reasoning.trust.probes import FRACTIONS

RNG = np.random.default_rng(0)


def planted(examples: int = 400, width: int = 8, noise: float = 0.0) -> tuple[Any, Any]:
    x = RNG.normal(size=(examples, width))
    return x, ((x[:, 0] + x[:, 1] + noise * RNG.normal(size=examples)) > 0).astype(int)


def test_the_minimum_of_a_quadratic_is_found() -> None:
    root = RNG.normal(size=(12, 12))
    curve, target = root @ root.T + np.eye(12) * 0.1, RNG.normal(size=12)
    found = minimise(
        lambda x: (float(0.5 * (x - target) @ curve @ (x - target)), curve @ (x - target)),
        np.zeros(12),
        1e-9,
    )
    assert found.converged
    np.testing.assert_allclose(found.place, target, atol=1e-6)


def test_softmax_regression_is_newtons() -> None:
    """Two classes with an L2 penalty: the gradient of the penalised likelihood vanishes."""
    x, y = planted(60, 3, 1.0)
    penalty = 0.1
    decoder = fit_decoder(x, y, 2, "linear", penalty, 0, 0)
    assert decoder.converged
    # Newton's method on the difference of the two logits, u = w1 - w0: by symmetry w1 = -w0 = u/2.
    z = np.c_[(x - x.mean(0)) / x.std(0), np.ones(60)]
    ridge = np.diag([penalty / 2] * 3 + [0.0])
    u = np.zeros(4)
    for _ in range(30):
        p = 1 / (1 + np.exp(-z @ u))
        hessian = (z * (p * (1 - p))[:, None]).T @ z / 60 + ridge
        u -= np.linalg.solve(hessian, z.T @ (p - y) / 60 + ridge @ u)
    logits = decoder(x)
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], z @ u, atol=1e-4)


def test_ridge_is_the_closed_form() -> None:
    x, y = RNG.normal(size=(50, 4)) * [1, 10, 0.1, 1] + 3, RNG.normal(size=50)
    decoder = fit_decoder(x, y, 0, "linear", 0.3, 0, 0)
    scaled = (x - x.mean(0)) / x.std(0)
    # The normal equations through an augmented least squares problem.
    rows = np.r_[scaled, math.sqrt(50 * 0.3) * np.eye(4)]
    w, *_ = np.linalg.lstsq(rows, np.r_[y - y.mean(), np.zeros(4)], rcond=None)
    np.testing.assert_allclose(decoder(x), scaled @ w + y.mean(), atol=1e-9)


@pytest.mark.parametrize("classes", [0, 3])
def test_the_gradient_of_a_small_network_is_its_finite_difference(classes: int) -> None:
    from tinygrad_tx.reasoning.trust.decoders import _loss

    sizes = (4, 5, classes or 1)
    x = RNG.normal(size=(7, 4))
    y = RNG.integers(0, 3, 7) if classes else RNG.normal(size=7)
    flat = RNG.normal(size=4 * 5 + 5 + 5 * sizes[2] + sizes[2])
    way = RNG.normal(size=flat.size)
    loss = lambda t: _loss(flat + t * way, sizes, x, y, classes, 0.2)[0]  # noqa: E731
    slope = _loss(flat, sizes, x, y, classes, 0.2)[1] @ way
    assert slope == pytest.approx((loss(1e-5) - loss(-1e-5)) / 2e-5, rel=1e-6)


def test_what_is_planted_is_read_and_what_is_not_is_not() -> None:
    x, y = planted(600)
    found = reasoning.probe({"there": x, "not there": RNG.normal(size=(600, 8))}, y)
    assert found["there"].score.value > 0.95
    missing = found["not there"]
    assert missing.score.low <= 0.55
    assert found.best.path == "there"
    assert missing.compression is not None
    assert missing.compression < 1.05 < 2 < (found["there"].compression or 0)
    assert "there" in str(found.table())


def test_a_network_reads_what_no_line_separates() -> None:
    x = RNG.normal(size=(500, 3))
    y = (x[:, 0] * x[:, 1] > 0).astype(int)
    linear = reasoning.probe(x, y, code=False)["activations"].score.value
    network = reasoning.probe(x, y, kind="mlp", code=False)["activations"].score.value
    assert linear < 0.65 < 0.9 < network


def test_a_probe_that_knows_words_by_heart_is_not_selective() -> None:
    """One-hot words: any labelling of words is linear, so task and control read alike."""
    types = RNG.integers(0, 6, (60, 10))
    by_word = np.array([0, 1, 0, 1, 1, 0])[types]
    found = reasoning.probe(np.eye(6)[types], by_word, types=types)["activations"]
    assert found.score.value == 1.0
    assert found.control is not None
    assert found.control.value == 1.0
    assert found.selectivity is not None
    assert (found.selectivity.low, found.selectivity.high) == (0.0, 0.0)
    # A property of the place, which words say nothing about, is selective.
    places = np.broadcast_to(np.arange(10) % 2, (60, 10))
    place = reasoning.probe(places[..., None] + 0.0, places, types=types)["activations"]
    assert place.selectivity is not None
    assert place.selectivity.low > 0.2


def test_the_online_code_is_the_sum_over_parts() -> None:
    """Inputs that are constant: a probe can only learn shares, so the code is theirs."""
    y = np.r_[np.zeros(64, int), np.ones(64, int)][RNG.permutation(128)]
    found = reasoning.probe(np.zeros((128, 1)), y, penalty=0.0)["activations"]
    order = np.random.default_rng(0).permutation(128)
    labels, bits = y[order], 4.0
    cuts = sorted({max(4, round(f * 128)) for f in FRACTIONS})
    for start, stop in pairwise(cuts):
        share = labels[:start].mean()
        ones = labels[start:stop].sum()
        bits -= ones * math.log2(share) + (stop - start - ones) * math.log2(1 - share)
    assert found.codelength == pytest.approx(bits, rel=1e-3)


def test_texts_are_never_split_between_training_and_scoring() -> None:
    """Labels that are random for each text, in inputs that name the text: held out is chance."""
    labels = np.repeat(RNG.integers(0, 2, 60)[:, None], 12, 1)
    x = np.repeat(np.eye(60)[:, None], 12, 1)
    whole = reasoning.probe(x, labels, code=False)["activations"].score.value
    cut = reasoning.probe(x, labels, groups=np.arange(720).reshape(60, 12), code=False)
    assert whole < 0.8 < 0.99 < cut["activations"].score.value


def test_numbers_are_read_by_the_share_of_variance() -> None:
    x = RNG.normal(size=(400, 5))
    y = x @ RNG.normal(size=5) + 1.0
    found = reasoning.probe({"x": x, "noise": RNG.normal(size=(400, 5))}, y)
    assert found["x"].score.low > 0.99
    assert found["noise"].score.value < 0.1
    assert found["x"].codelength is None
    assert found.is_regression


def test_points_of_a_model_are_probed_with_heads_joined() -> None:
    model = tx.models.GPT(tx.models.GPTConfig(11, 8, 2, 2, 32)).eval()
    tokens = RNG.integers(0, 11, (40, 6))
    seen = reasoning.capture(model, tokens, ["blocks.*.residual_before", "*.context"])
    done: list[tuple[int, int]] = []
    found = reasoning.probe(
        seen, tokens % 2, types=tokens, code=False, on_progress=lambda *a: done.append(a)
    )
    assert found["blocks.0.residual_before"].score.value > 0.9
    assert found["blocks.1.attention.context"].decoder.layers[0][0].shape == (32, 2)
    assert done == [(i + 1, 4) for i in range(4)]
    assert found.picture().get_axes()


def test_labels_that_are_left_out_do_not_count() -> None:
    x, y = planted(300)
    spoilt = x.copy()
    spoilt[::3] = np.nan
    y[::3] = -1
    found = reasoning.probe(spoilt, y, code=False)
    assert found.trained + found.held_out == 200


@pytest.mark.parametrize(
    ("x", "y", "error", "words"),
    [
        (np.zeros((4, 3)), np.zeros(5, int), ShapeError, ("(4, 3)", "(5,)", "position")),
        (np.zeros((4, 3)), np.zeros(4, int), DataError, ("1 classes",)),
        (np.zeros((1, 3)), np.zeros(1, int), DataError, ("1 groups",)),
        (np.full((4, 3), np.nan), np.arange(4) % 2, NonFiniteError, ("12 places", "[0, 0]")),
        (np.zeros((4, 3)), np.ones(4), DataError, ("all labels are 1.0",)),
        ({}, np.arange(4) % 2, DataError, ("no activations",)),
    ],
)
def test_bad_input_says_so(x: Any, y: Any, error: Any, words: Any) -> None:
    with pytest.raises(error) as caught:
        reasoning.probe(x, y)
    assert all(word in str(caught.value) for word in words)


def test_an_unknown_point_names_those_there_are() -> None:
    with pytest.raises(PointError, match="activations"):
        reasoning.probe(*planted(30), code=False)["other"]


def test_few_examples_have_no_interval() -> None:
    found = interval(np.arange(9))
    assert found.value == 4
    assert bounds(found) == "too few examples"
    assert math.isnan(resampled(lambda rows: float(rows.mean()), 9).low)
    assert not math.isnan(interval(np.arange(10)).low)


def test_resampling_a_mean_is_the_bootstrap_of_means() -> None:
    values = RNG.normal(size=200)
    groups = np.arange(200) // 4
    by_rows = resampled(lambda rows: float(values[rows].mean()), 200, groups, draws=2000)
    plain = interval(values, groups, draws=2000)
    assert by_rows.low == pytest.approx(plain.low, abs=0.02)
    assert by_rows.high == pytest.approx(plain.high, abs=0.02)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=2, max_size=9), st.randoms())
def test_rank_correlation_is_that_of_mean_ranks(values: list[int], random: Any) -> None:
    other = list(values)
    random.shuffle(other)

    def ranks(v: list[int]) -> list[float]:
        return [sum(o < x for o in v) + (sum(o == x for o in v) + 1) / 2 for x in v]

    found = rank_correlation(np.array(values), np.array(other))
    if len(set(values)) == 1:
        assert found == 1.0
    else:
        assert found == pytest.approx(np.corrcoef(ranks(values), ranks(other))[0, 1])
