"""Steering: the vector is a difference of means, and what it does is what a changed weight does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx import reasoning
from tinygrad_tx.errors import DataError, GraphError, NonFiniteError, PointError, ShapeError

M = tx.models
WIDTH = 16
AT = "blocks.1.residual_before"


def lively(model: Any) -> Any:
    rng = np.random.default_rng(1)
    for p in model.parameters():
        p.assign_(p.numpy() + rng.normal(0, 0.2, p.shape).astype(np.float32))
    return model.eval()


GPT = lively(M.GPT(M.GPTConfig(29, 16, 2, 4, WIDTH)))
LLAMA = lively(M.Llama(M.LlamaConfig(29, 16, 2, 4, WIDTH, kv_heads=2)))
POSITIVE, NEGATIVE = [[1, 2, 3], [4, 5], [6]], [[7, 8], [9, 10, 11, 12]]
VECTOR = np.random.default_rng(2).normal(size=WIDTH).astype(np.float32)


@pytest.mark.parametrize("model", [GPT, LLAMA], ids=["gpt", "llama"])
def test_the_vector_is_the_difference_of_means_at_the_last_tokens(model: Any) -> None:
    means = []
    for prompts in (POSITIVE, NEGATIVE):
        alone = [reasoning.capture(model, np.array([p]), AT)[AT].numpy()[0, -1] for p in prompts]
        means.append(np.mean(alone, 0, dtype=np.float64))
    found = reasoning.steering_vector(model, (POSITIVE, NEGATIVE), AT)
    np.testing.assert_allclose(found, means[0] - means[1], atol=1e-5)


def test_prompts_that_change_places_give_the_opposite_vector() -> None:
    one = reasoning.steering_vector(GPT, (POSITIVE, NEGATIVE), AT)
    other = reasoning.steering_vector(GPT, (NEGATIVE, POSITIVE), AT)
    np.testing.assert_array_equal(one, -other)


def test_steering_is_what_a_shift_of_all_position_embeddings_does() -> None:
    tokens = np.array([[3, 1, 4, 1, 5]])
    steered = reasoning.steer(GPT, VECTOR, "blocks.0.residual_before", 2.0)(tokens).numpy()
    old = GPT.position.weight.numpy().copy()
    GPT.position.weight.assign_(old + 2 * VECTOR)
    moved = GPT(tokens).numpy()
    GPT.position.weight.assign_(old)
    np.testing.assert_allclose(steered, moved, atol=1e-5)


def test_strength_zero_changes_no_bit() -> None:
    tokens = np.array([[3, 1, 4]])
    steered = reasoning.steer(GPT, VECTOR, AT, 0.0)
    assert steered(tokens).numpy().tobytes() == GPT(tokens).numpy().tobytes()


@pytest.mark.parametrize("model", [GPT, LLAMA], ids=["gpt", "llama"])
def test_it_writes_with_a_cache_as_without(model: Any) -> None:
    steered = reasoning.steer(model, VECTOR, AT, 3.0)
    text = [3, 1, 4]
    written = list(steered.generate(text, 6, temperature=0))
    for token in written:
        assert token == int(steered(np.array([text])).numpy()[0, -1].argmax())
        text = [*text, token]
    assert written != list(model.generate([3, 1, 4], 6, temperature=0))


def test_some_positions_alone_are_steered() -> None:
    tokens = np.array([[3, 1, 4, 1]])
    steered = reasoning.steer(GPT, VECTOR, AT, 3.0, positions=2)(tokens).numpy()
    plain = GPT(tokens).numpy()
    np.testing.assert_array_equal(steered[0, :2], plain[0, :2])
    assert np.abs(steered[0, 2:] - plain[0, 2:]).min(-1).max() > 0


def test_the_choice_is_the_best_of_all_that_were_tried() -> None:
    def measure(model: Any) -> float:
        return float(model(np.array([[1, 2, 3]])).numpy()[0, -1, 7])

    seen = []
    choice = reasoning.choose_steering(
        GPT, (POSITIVE, NEGATIVE), measure, strengths=(0.5, -2.0),
        on_progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    path, strength = choice.best
    every = [
        measure(reasoning.steer(GPT, choice.vectors[p], p, s))
        for p in choice.paths
        for s in (0.5, -2.0)
    ]
    assert measure(choice.steered(GPT)) == max(every)
    assert measure(reasoning.steer(GPT, choice.vectors[path], path, strength)) == max(every)
    assert choice.plain == measure(GPT)
    assert seen[-1] == (4, 4)
    assert "-2" in choice.table().text()


def test_bad_input_is_refused() -> None:
    with pytest.raises(DataError, match="empty"):
        reasoning.steer(GPT, ([[1], []], NEGATIVE), AT)
    with pytest.raises(DataError, match="0 prompts"):
        reasoning.steering_vector(GPT, ([], NEGATIVE), AT)
    with pytest.raises(GraphError, match="names 2 points"):
        reasoning.steering_vector(GPT, (POSITIVE, NEGATIVE), "blocks.*.residual_before")
    with pytest.raises(ShapeError, match="residual stream"):
        reasoning.steering_vector(GPT, (POSITIVE, NEGATIVE), "blocks.0.attention.pattern")
    with pytest.raises(NonFiniteError):
        reasoning.steer(GPT, VECTOR * np.nan, AT)
    with pytest.raises(PointError):
        reasoning.steer(GPT, VECTOR, "blocks.7.residual_before")
    with pytest.raises(ShapeError, match="do not broadcast"):
        reasoning.steer(GPT, VECTOR[:5], AT)(np.array([[1, 2]]))
    with pytest.raises(NonFiniteError, match="NaN"):
        reasoning.choose_steering(GPT, (POSITIVE, NEGATIVE), lambda m: float("nan"))
