"""A planted sparse dictionary is found again, and the cost of reading it is measured right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx import reasoning
from tinygrad_tx.errors import DataError, NonFiniteError, PointError, ShapeError
from tinygrad_tx.reasoning.trust.sparse_autoencoder import _revive

WIDTH, FEATURES = 16, 32
POINT = "blocks.0.residual_after_feed_forward"


def planted(sparse: bool) -> tuple[Any, Any]:
    """8000 sums of 3 out of 32 directions, or of all of them with Gaussian weights."""
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(FEATURES, WIDTH))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    chosen = rng.random((8000, FEATURES)).argsort(1) < 3
    sums = rng.uniform(0.5, 1.5, chosen.shape) * chosen if sparse else rng.normal(size=chosen.shape)
    return (sums @ directions * 7 + 3).astype(np.float32), directions


def likeness(found: Any, directions: Any) -> float:
    return float((directions @ found.T).max(1).mean())


@pytest.mark.parametrize(("active", "penalty", "least"), [(3, 0.0, 0.95), (None, 0.05, 0.85)])
def test_a_sparse_dictionary_is_recovered_and_a_dense_one_is_not(
    active: int | None, penalty: float, least: float
) -> None:
    found = []
    for sparse in (True, False):
        values, directions = planted(sparse)
        trained = reasoning.train_autoencoder(values, FEATURES, active=active, penalty=penalty)
        found.append(likeness(trained.decoder.numpy(), directions))
    assert found[0] > least
    assert found[1] < found[0] - 0.1
    np.testing.assert_allclose(np.linalg.norm(trained.decoder.numpy(), axis=1), 1, atol=1e-5)


def test_codes_are_those_of_the_formula() -> None:
    model = reasoning.SparseAutoencoder(4, 6, 2, seed=1)
    rng = np.random.default_rng(2)
    for p in model.parameters():
        if p.ndim:
            p.assign_(rng.normal(size=p.shape).astype(np.float32))
    model.scale.assign_(np.float32(2))
    x = rng.normal(size=(3, 5, 4)).astype(np.float32)
    w = {k: v.astype(float) for k, v in model.state_dict().items()}
    before = (x - w["centre"]) / 2 @ w["encoder"] + w["threshold"]
    kept = before >= np.sort(before, -1)[..., -2:-1]
    code = np.where(kept, np.maximum(before, 0), 0)
    np.testing.assert_allclose(model.encode(x).numpy(), code, atol=1e-5)
    np.testing.assert_allclose(model(x).numpy(), code @ w["decoder"] * 2 + w["centre"], atol=1e-5)


def test_a_dead_feature_starts_anew_at_what_is_missing() -> None:
    """Only one direction is not written: the dead feature is put there, the others stay."""
    model = reasoning.SparseAutoencoder(4, 4, None)
    model.encoder.assign_(np.diag([1, 1, 1, 0]).astype(np.float32))
    model.decoder.assign_(np.eye(4, dtype=np.float32)[[0, 1, 2, 0]])
    x = np.abs(np.random.default_rng(0).normal(size=(9, 4))).astype(np.float32)
    _revive(model, np.array([3]), x, np.random.default_rng(1))
    np.testing.assert_allclose(model.decoder.numpy(), np.eye(4), atol=1e-6)
    np.testing.assert_allclose(model(x).numpy(), x, atol=1e-5)


def gpt() -> tuple[Any, Any]:
    """A model that learnt to count up: the next token is the last plus one."""
    rng = np.random.default_rng(0)
    tokens = (rng.integers(0, 11, (60, 1)) + np.arange(7)) % 11
    model = tx.models.GPT(tx.models.GPTConfig(11, 8, 1, 2, 16))
    optimizer = tx.optim.Adam(model.parameters(), 3e-3)

    @tx.jit
    def step(batch: Any) -> Any:
        loss = model.loss(batch[:, :-1], batch[:, 1:])
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(150):
        step(tokens)
    return model.eval(), tokens


def test_the_loss_with_features_in_place_of_the_point() -> None:
    model, tokens = gpt()
    told: list[tuple[int, int]] = []
    found = reasoning.learn_dictionary(
        model, tokens[:40], tokens[40:], POINT, 32, active=4, steps=600, examples=3,
        on_progress=lambda *a: told.append(a),
    )  # fmt: skip
    assert found.recovered is not None
    assert found.recovered.value > 0.8
    assert found.loss.value < found.spliced.value < found.zeroed.value
    assert found.explained.value > 0.8
    assert found.active.value <= 4
    assert told[-1] == (600, 600)
    own = float(model.loss(tokens[40:, :-1], tokens[40:, 1:]).item())
    assert found.loss.value == pytest.approx(own, rel=1e-4)
    # The last norm then gives its bias at every place.
    logits = model.embedding.weight.numpy() @ model.norm.bias.numpy()
    constant = np.logaddexp.reduce(logits) - logits[tokens[40:, 1:]].mean()
    assert found.zeroed.value == pytest.approx(constant, rel=1e-4)
    seen = reasoning.capture(model, tokens[40:], POINT)[POINT].numpy().astype(float)
    missed = seen - found.autoencoder(seen.astype(np.float32)).numpy()
    share = 1 - (missed**2).sum() / ((seen - seen.mean((0, 1))) ** 2).sum()
    assert found.explained.value == pytest.approx(share, rel=1e-4)
    code = found.autoencoder.encode(seen.astype(np.float32)).numpy()
    assert found.dead.tolist() == np.flatnonzero((code == 0).all((0, 1))).tolist()
    feature = int(code.max((0, 1)).argmax())
    top = found.examples(feature)[0]
    assert top.activation == pytest.approx(code[..., feature].max(), rel=1e-5)
    assert "[" in str(found.examples_table(feature))
    assert "loss recovered" in str(found.table())


def test_bad_input_says_so() -> None:
    model = tx.models.GPT(tx.models.GPTConfig(11, 8, 1, 2, 16))
    tokens = np.zeros((4, 6), int)
    with pytest.raises(DataError, match="not \\(texts, time\\)"):
        reasoning.learn_dictionary(model, tokens[:0], tokens, POINT, 4)
    with pytest.raises(PointError, match="name one"):
        reasoning.learn_dictionary(model, tokens, tokens, "*residual*", 4)
    with pytest.raises(PointError, match="no width"):
        reasoning.learn_dictionary(model, tokens, tokens, "*.pattern", 4)
    with pytest.raises(ShapeError, match="9 of them active"):
        reasoning.train_autoencoder(np.eye(4), 4, active=9)
    with pytest.raises(DataError, match="the same"):
        reasoning.train_autoencoder(np.ones((5, 3)), 4, active=2)
    with pytest.raises(NonFiniteError, match="not finite"):
        reasoning.train_autoencoder(np.full((5, 3), np.nan), 4, active=2)
