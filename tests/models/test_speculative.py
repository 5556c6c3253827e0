"""Speculative decoding writes what the large model alone would write."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.errors import DataError
from tinygrad_tx.models.sampling import Sampling
from tinygrad_tx.models.speculative import Counts, accepted, speculative

VOCAB = 11


def model_of(layers: int, seed: int) -> Any:
    model: Any = tx.models.GPT(tx.models.GPTConfig(VOCAB, 32, layers, 2, 16), seed)
    rng = np.random.default_rng(seed)
    model.load_state_dict(
        {
            k: v + rng.normal(0, 0.4, v.shape).astype(np.float32)
            for k, v in model.state_dict().items()
        }
    )
    return model.eval()


def test_first_token_and_pairs_have_the_chances_of_the_large_model() -> None:
    """20,000 proposals of two tokens from other chances than the wanted ones."""
    rng = np.random.default_rng(0)
    large, small = rng.dirichlet(np.ones(4), 3), rng.dirichlet(np.ones(4), 2)
    small[0, 2] = 0.0
    small[0] /= small[0].sum()
    first, second = np.zeros(4), np.zeros((4, 4))
    for _ in range(20_000):
        proposed = [int(rng.choice(4, p=q)) for q in small]
        found = accepted(large, small, proposed, rng)
        first[found[0]] += 1
        if len(found) > 1:
            second[found[0], found[1]] += 1
    np.testing.assert_allclose(first / first.sum(), large[0], atol=0.015)
    seen = second.sum(0) / second.sum()
    np.testing.assert_allclose(seen, large[1], atol=0.02)


def test_a_draft_that_is_the_model_is_always_right() -> None:
    model, counts = model_of(2, 0), Counts()
    list(speculative(model, model, [1, 2], 20, counts=counts, seed=1))
    assert counts.proposed == counts.taken > 0


@pytest.mark.parametrize("ahead", [1, 3, 6])
def test_the_likeliest_text_is_the_models_own(ahead: int) -> None:
    model, draft, counts = model_of(2, 0), model_of(1, 5), Counts()
    greedy = Sampling(temperature=0)
    found = list(speculative(model, draft, [3, 1], 24, ahead, greedy, counts=counts))
    assert found == list(model.generate([3, 1], 24, temperature=0))
    assert counts.taken < counts.proposed  # the draft is wrong now and then


def test_a_stop_token_ends_it_and_bad_input_is_told() -> None:
    model, draft = model_of(2, 0), model_of(1, 5)
    greedy = Sampling(temperature=0)
    whole = list(speculative(model, draft, [3, 1], 12, 4, greedy))
    stop = whole[5]
    assert (
        list(speculative(model, draft, [3, 1], 12, 4, greedy, {stop})) == whole[: whole.index(stop)]
    )
    with pytest.raises(DataError, match="context of 32"):
        speculative(model, draft, [1] * 30, 10)
    other = tx.models.GPT(tx.models.GPTConfig(9, 32, 1, 2, 16))
    with pytest.raises(DataError, match="vocabularies 11 and 9"):
        speculative(model, other, [1], 4)
