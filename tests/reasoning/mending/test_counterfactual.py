"""Groups that change places, and training on such text as an edit that can be taken back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays

import tinygrad_tx as tx
from tinygrad_tx import reasoning
from tinygrad_tx.errors import DataError, NonFiniteError
from tinygrad_tx.reasoning.mending.counterfactual import swapped
from tinygrad_tx.reasoning.mending.edit import fingerprint

PAIRS = [(1, 2), (5, 6)]
# After 7 always 1, after 8 always 2: what the model learns, and what swapping takes away.
TEXT = np.array([[3, 7, 1, 0], [3, 8, 2, 0], [4, 7, 1, 4], [4, 8, 2, 4]] * 16)


@given(arrays(np.int64, (3, 5), elements=st.integers(0, 9)))
def test_swapping_twice_is_not_swapping(tokens: Any) -> None:
    once = swapped(tokens, PAIRS)
    np.testing.assert_array_equal(swapped(once, PAIRS), tokens)
    np.testing.assert_array_equal(once == 1, tokens == 2)
    outside = ~np.isin(tokens, [1, 2, 5, 6])
    np.testing.assert_array_equal(once[outside], tokens[outside])


def test_sentences_without_a_pair_stand_there_once() -> None:
    text = np.array([[3, 7, 1], [3, 4, 3]])
    found = reasoning.counterfactual_text(text, PAIRS)
    np.testing.assert_array_equal(found, [[3, 7, 1], [3, 4, 3], [3, 7, 2]])


def test_each_word_of_a_pair_is_as_frequent_as_the_other() -> None:
    rng = np.random.default_rng(0)
    found = reasoning.counterfactual_text(rng.integers(0, 9, (50, 6)), PAIRS)
    for a, b in PAIRS:
        assert (found == a).sum() == (found == b).sum()


def learnt() -> Any:
    model = tx.models.GPT(tx.models.GPTConfig(10, 8, 1, 2, 16), seed=0)
    reasoning.counterfactual_finetune(
        model, TEXT, [], steps=150, batch=32, learning_rate=1e-2, padding=0
    ).apply()
    return model


def odds(model: Any) -> Any:
    logits = model(np.array([[3, 7], [3, 8]])).numpy()[:, -1]
    return logits[:, 1] - logits[:, 2]


@pytest.mark.parametrize("rank", [None, 2], ids=["all", "lora"])
def test_the_skew_goes_and_comes_back_bit_for_bit(rank: int | None) -> None:
    model = learnt()
    bits, before = fingerprint(model), odds(model)
    assert before[0] > 2
    assert before[1] < -2
    seen = []
    edit = reasoning.counterfactual_finetune(
        model, TEXT, PAIRS, steps=150, batch=32, learning_rate=1e-2, padding=0, rank=rank,
        on_progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert fingerprint(model) == bits
    assert seen[-1] == (150, 150)
    with edit.applied():
        assert np.abs(odds(model)).max() < 0.7
        assert 0 < edit.changed <= model.num_parameters()
    assert fingerprint(model) == bits
    np.testing.assert_array_equal(odds(model), before)
    if rank is not None:
        assert all("attention.qkv.weight" in p or "feed_forward" in p for p in edit.after)
    assert "150 steps" in edit.notes[0]


def test_training_that_fails_leaves_the_model_as_it_was() -> None:
    model = learnt()
    bits = fingerprint(model)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    for rank in (None, 2):
        with pytest.raises(KeyboardInterrupt):
            reasoning.counterfactual_finetune(model, TEXT, PAIRS, rank=rank, on_progress=stop)
        assert fingerprint(model) == bits
    with pytest.raises(NonFiniteError):
        reasoning.counterfactual_finetune(model, TEXT, PAIRS, learning_rate=1e20)
    assert fingerprint(model) == bits


def test_bad_input_is_refused() -> None:
    with pytest.raises(DataError, match="one pair of two"):
        swapped(TEXT, [(1, 2), (2, 3)])
    with pytest.raises(DataError, match="steps 0"):
        reasoning.counterfactual_finetune(learnt(), TEXT, PAIRS, steps=0)
