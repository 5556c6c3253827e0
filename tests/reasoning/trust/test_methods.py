"""On a trained classifier real explanations are told from one that never asks the model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx import reasoning
from tinygrad_tx.reasoning.trust.methods import explanations

TIME, VOCAB = 8, 14
GOOD, BAD = 12, 13


def texts(count: int, seed: int) -> tuple[Any, Any]:
    """One token, of two, at any place but the first decides; the others say nothing."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(2, 12, (count, TIME))
    tokens[:, 0] = 0
    classes = rng.integers(0, 2, count)
    tokens[np.arange(count), rng.integers(1, TIME, count)] = np.where(classes, GOOD, BAD)
    return tokens, classes


@pytest.fixture(scope="module")
def classifier() -> Any:
    config = tx.models.BERTConfig(VOCAB, TIME, 1, 2, 16, dropout=0.0)
    model = tx.models.BERTClassifier(config, 2)
    optimizer = tx.optim.Adam(model.parameters(), 3e-3)

    @tx.jit
    def step(tokens: Any, classes: Any) -> Any:
        loss = model.loss(tokens, classes)
        loss.backward()
        optimizer.step()
        return loss

    for i in range(300):
        loss = step(*texts(64, i))
    assert loss.item() < 0.1
    return model.eval()


def token_number(model: Any, tokens: Any, target: Any) -> Any:
    """A map that looks right (deciding tokens have the highest numbers) and asks no model."""
    return tokens.astype(float)


def test_one_table_says_which_to_trust(classifier: Any) -> None:
    tokens, _ = texts(12, 999)
    eligible = np.arange(TIME) > 0
    before, told = classifier.state_dict(), []
    found = reasoning.which_to_trust(
        classifier, tokens, replacement=1, others={"token number": token_number},
        eligible=eligible, steps=8, orders=4, on_progress=lambda *a: told.append(a),
        stages=[["classifier", "pooler"], ["encoder"]],
    )  # fmt: skip
    assert told[-1] == (14, 14)
    print(found.table())
    assert [m.name for m in found.methods] == [
        "gradient x input", "integrated gradients", "occlusion", "attention rollout",
        "token number",
    ]  # fmt: skip
    # It is right here, and by luck: only the sanity check can tell.
    assert found["token number"].deleted.low > 0
    assert found["token number"].trust == "nothing: it hardly depends on the weights"
    for name in ("integrated gradients", "occlusion"):
        assert found[name].deleted.low > 0
        assert "needed" in found[name].trust
    after = classifier.state_dict()
    assert all(np.array_equal(before[n], after[n]) for n in before)


def test_occlusion_is_the_loss_of_log_probability(classifier: Any) -> None:
    tokens, classes = texts(8, 5)
    assert set(classes.tolist()) == {0, 1}
    methods = explanations(classifier, tokens, replacement=BAD)
    found = methods["occlusion"](classifier, tokens, classes)

    def value(given: Any) -> Any:
        logits = classifier(given).numpy().astype(float)
        return (logits - np.logaddexp.reduce(logits, -1)[:, None])[np.arange(8), classes]

    for i in range(TIME):
        without = tokens.copy()
        without[:, i] = BAD
        np.testing.assert_allclose(found[:, i], value(tokens) - value(without), atol=1e-4)
    assert np.abs(found).max() > 1
    rolled = methods["attention rollout"](classifier, tokens, classes)
    shares = reasoning.attention_rollout(classifier, tokens).shares
    np.testing.assert_allclose(rolled, shares[:, 0])


def test_a_causal_model_is_read_at_its_last_position() -> None:
    model = tx.models.GPT(tx.models.GPTConfig(VOCAB, TIME, 1, 2, 8))
    tokens, classes = texts(2, 5)
    rolled = explanations(model, tokens, replacement=1)["attention rollout"]
    shares = reasoning.attention_rollout(model, tokens).shares
    np.testing.assert_allclose(rolled(model, tokens, classes), shares[:, -1])
    with pytest.raises(ValueError, match="occlusion"):
        reasoning.which_to_trust(model, tokens, replacement=1, others={"occlusion": token_number})
