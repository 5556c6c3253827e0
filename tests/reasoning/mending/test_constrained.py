"""A model under a rule says at each place what the rule makes of its logits there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.errors import GraphError
from tinygrad_tx.models import Balanced, Banned, write_batch
from tinygrad_tx.reasoning import Constrained, steer

MODEL = tx.models.GPT(tx.models.GPTConfig(12, 16, 1, 2, 16), seed=3).eval()
for _p in MODEL.parameters():
    _p.assign_(_p.numpy() * 10)
TOKENS = np.array([[1, 2, 3, 9, 4, 5], [6, 7, 8, 3, 2, 1]])
RULES = {
    "balanced": Balanced(((0, 1), (2,))),
    "banned": Banned((3, 4)),
    "balanced, unless": Balanced(((0, 1), (2,)), frozenset({9})),
    "banned, unless": Banned((3, 4), frozenset({9, 8})),
}


@pytest.mark.parametrize("name", RULES)
def test_every_place_of_a_text_gets_the_rule_with_what_stands_before(name: str) -> None:
    rule: Any = RULES[name]
    found = Constrained(MODEL, rule)(TOKENS).numpy()
    plain = MODEL(TOKENS).numpy()
    for b, text in enumerate(TOKENS):
        for t in range(len(text)):
            expected = rule(plain[b, t], text[: t + 1].tolist())
            np.testing.assert_allclose(found[b, t], expected, atol=1e-5)


@pytest.mark.parametrize("name", RULES)
def test_it_writes_what_its_logits_say(name: str) -> None:
    model = Constrained(MODEL, RULES[name])
    text = [1, 2]
    for token in model.generate(text, 8, temperature=0):
        assert token == int(model(np.array([text])).numpy()[0, -1].argmax())
        text = [*text, token]


def test_a_rule_without_unless_writes_with_a_cache_in_batches() -> None:
    model = Constrained(MODEL, RULES["banned"])
    prompts = [[1, 2], [5]]
    expected = [list(model.generate(p, 6, temperature=0)) for p in prompts]
    assert write_batch(model, prompts, 6) == expected


def test_a_rule_with_unless_and_a_cache_says_how_to_write() -> None:
    with pytest.raises(GraphError, match="constraint=rule"):
        write_batch(Constrained(MODEL, RULES["banned, unless"]), [[1, 2]], 3)


def test_rules_and_changes_go_together() -> None:
    steered = steer(MODEL, np.ones(16, np.float32), "blocks.0.residual_before", 2.0)
    both = Constrained(steered, RULES["balanced"])(TOKENS).numpy()
    plain = steered(TOKENS).numpy()
    for b in range(2):
        np.testing.assert_allclose(both[b, 2], RULES["balanced"](plain[b, 2], []), atol=1e-5)
    assert not np.allclose(plain, MODEL(TOKENS).numpy())


def test_the_loss_is_that_of_its_logits() -> None:
    model = Constrained(MODEL, RULES["balanced"])
    logits = model(TOKENS[:, :-1]).numpy().astype(np.float64)
    wide = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    expected = -np.take_along_axis(wide, TOKENS[:, 1:, None], -1).mean()
    assert model.loss(TOKENS[:, :-1], TOKENS[:, 1:]).item() == pytest.approx(expected, rel=1e-5)
