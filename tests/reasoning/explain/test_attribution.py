"""Attribution: scores are finite differences, sums that close, and interventions one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st

import tinygrad_tx as tx
from tests.reasoning.explain.small_models import MODELS, TARGET, TOKENS, VOCAB, gpt, lively, run
from tinygrad_tx import reasoning
from tinygrad_tx.errors import IndexRangeError, NonFiniteError, PointError, ShapeError
from tinygrad_tx.nn.points import marked
from tinygrad_tx.reasoning import Target, add, replace
from tinygrad_tx.reasoning.explain.along import Along
from tinygrad_tx.reasoning.explain.integrate import integrated, quadrature
from tinygrad_tx.tensor.tensor import as_tensor

every_model = pytest.mark.parametrize("kind", MODELS)


def embedding_of(model: Any, inputs: Any) -> str:
    args = inputs if isinstance(inputs, tuple) else (inputs,)
    return next(p for p in reasoning.points(model, *args) if p.endswith("token_embedding"))


def logit(model: Any, inputs: Any, changes: Any, token: int = 3, position: int = -1) -> Any:
    with tx.no_grad():
        output = reasoning.intervene(model, inputs, changes).numpy().astype(np.float64)
    return output[:, position, token]


@every_model
def test_gradient_x_input_is_a_finite_difference(kind: str) -> None:
    """The slope where the embedding of one token alone is turned down."""
    make, inputs = MODELS[kind]
    model = make()
    path = embedding_of(model, inputs)
    own = reasoning.capture(model, inputs, path)[path].numpy()
    found = reasoning.gradient_x_input(model, inputs, Target(3))
    truth, step = np.zeros_like(found.scores, np.float64), 3e-3
    if kind == "t5":
        step = 5e-4  # a ReLU bends 7e-4 from one of the embeddings
    for t in range(own.shape[1]):
        some = np.zeros_like(own)
        some[:, t] = step * own[:, t]
        up, down = (logit(model, inputs, {path: add(x)}) for x in (some, -some))
        truth[:, t] = (up - down) / (2 * step)
    np.testing.assert_allclose(found.scores, truth, atol=2e-3 * np.abs(truth).max() + 2e-4)
    np.testing.assert_allclose(found.value, run(model, inputs)[:, -1, 3], atol=1e-6)
    assert found.gap is None


@every_model
def test_scores_of_integrated_gradients_sum_to_the_difference_of_outputs(kind: str) -> None:
    make, inputs = MODELS[kind]
    model = make()
    path = embedding_of(model, inputs)
    found = reasoning.integrated_gradients(model, inputs, Target(3, 5), baseline=7, steps=256)
    sevens = np.full_like(TOKENS, 7)
    args = (sevens, TARGET) if isinstance(inputs, tuple) else (sevens,)
    table = reasoning.capture(model, args, path)[path].numpy()
    low = logit(model, inputs, {path: replace(table)}) - logit(
        model, inputs, {path: replace(table)}, 5
    )
    high = run(model, inputs)[:, -1, 3] - run(model, inputs)[:, -1, 5]
    np.testing.assert_allclose(found.value, high, atol=3e-6)
    np.testing.assert_allclose(found.at_baseline, low, atol=3e-6)
    np.testing.assert_allclose(found.gap, found.scores.sum(-1) - (high - low), atol=1e-5)
    assert np.abs(found.gap).max() < 0.01 * np.abs(high - low).max() + 1e-4


def test_the_gap_shrinks_with_steps() -> None:
    model = gpt()
    for rule, last in (("midpoint", 64), ("gauss", 16)):
        gaps = []
        for steps in (1, 4, last):
            found = reasoning.integrated_gradients(
                model, TOKENS, Target(3), baseline=7, steps=steps, rule=rule
            )
            gaps.append(float(np.abs(found.gap).max()))
        assert gaps[0] > gaps[1] > gaps[2], (rule, gaps)
        assert gaps[2] < 0.02 * gaps[0]


def test_on_a_linear_model_every_method_says_the_same() -> None:
    """F = sum over t of w_t . e_t: the scores are the terms, whatever the rule."""
    model = Linear()
    truth = model.terms(TOKENS)
    target = Target(2)
    for scores in (
        reasoning.gradient_x_input(model, TOKENS, target).scores,
        reasoning.occlusion(model, TOKENS, target).scores,
        reasoning.integrated_gradients(model, TOKENS, target, steps=1, rule="midpoint").scores,
        reasoning.integrated_gradients(model, TOKENS, target).scores,
    ):
        np.testing.assert_allclose(scores, truth, atol=2e-6)
    less = reasoning.integrated_gradients(model, TOKENS, target, baseline=4)
    other = model.terms(np.full_like(TOKENS, 4))
    np.testing.assert_allclose(less.scores, truth - other, atol=2e-6)


class Linear(tx.nn.Module):
    """Logits (batch, classes): each position's embedding through a matrix of its own, summed."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(4)
        self.embedding = tx.nn.Embedding(VOCAB, 6, rng)
        self.weight = rng.normal(size=(7, 6, 4)).astype(np.float32)

    def forward(self, tokens: Any) -> Any:
        e = marked(self.embedding(tokens), "token_embedding")
        return tx.einsum("btw,twc->bc", e, as_tensor(self.weight))

    def terms(self, tokens: Any) -> Any:
        e = self.embedding.weight.numpy()[tokens]
        return np.einsum("btw,tw->bt", e, self.weight[:, :, 2])


@every_model
def test_occlusion_is_one_intervention_after_the_other(kind: str) -> None:
    make, inputs = MODELS[kind]
    model = make()
    path = embedding_of(model, inputs)
    own = reasoning.capture(model, inputs, path)[path].numpy()
    found = reasoning.occlusion(model, inputs, Target(3), rows=3)
    for t in range(own.shape[1]):
        without = own.copy()
        without[:, t] = 0
        lost = run(model, inputs)[:, -1, 3] - logit(model, inputs, {path: replace(without)})
        np.testing.assert_allclose(found.scores[:, t], lost, atol=3e-6)


def test_occlusion_by_a_token_is_the_model_on_the_other_text() -> None:
    model = gpt()
    found = reasoning.occlusion(model, TOKENS, Target(3), baseline=11)
    for t in range(7):
        other = TOKENS.copy()
        other[:, t] = 11
        lost = run(model, TOKENS)[:, -1, 3] - run(model, other)[:, -1, 3]
        np.testing.assert_allclose(found.scores[:, t], lost, atol=3e-6)


def test_heads_sum_to_what_their_layer_does() -> None:
    model = gpt()
    found = reasoning.head_attribution(model, TOKENS, Target(3), steps=64)
    assert found.by_position.shape == (3, 2, 2, 7)
    for layer, path in enumerate(found.paths):
        without = logit(model, TOKENS, {path: reasoning.zero()})
        np.testing.assert_allclose(found.without[:, layer], without, atol=3e-6)
        moved = found.value - without
        np.testing.assert_allclose(found.scores[:, layer].sum(-1), moved, atol=2e-3)
        np.testing.assert_allclose(
            found.gap[:, layer], found.scores[:, layer].sum(-1) - moved, atol=1e-5
        )


def test_heads_of_the_last_layer_are_what_a_fine_sum_says() -> None:
    """Against 40 midpoints with finite differences of each head's share alone."""
    model = gpt(layers=1)
    path = "blocks.0.attention.context"
    own = reasoning.capture(model, TOKENS, path)[path].numpy()
    found = reasoning.head_attribution(model, TOKENS, Target(3), steps=64)
    places, step = (np.arange(40) + 0.5) / 40, 1e-2
    truth = np.zeros((3, 2))
    for a in places:
        for head in range(2):
            some = np.zeros_like(own)
            some[:, head] = step * own[:, head]
            up, down = (logit(model, TOKENS, {path: replace(a * own + x)}) for x in (some, -some))
            truth[:, head] += (up - down) / (2 * step) / len(places)
    np.testing.assert_allclose(found.scores[:, 0], truth, atol=3e-3)
    assert found.table().rows[0][0] == path
    assert "head 1" in reasoning.picture_bytes(found.picture()).decode()


def test_later_tokens_have_no_score_in_a_causal_model() -> None:
    for method in (
        reasoning.gradient_x_input, reasoning.integrated_gradients, reasoning.occlusion,
    ):  # fmt: skip
        found = method(gpt(), TOKENS, Target(3, position=2))
        np.testing.assert_allclose(found.scores[:, 3:], 0, atol=3e-7)
        assert (np.abs(found.scores[:, :3]) > 1e-4).all()


def test_the_decoder_side_is_explained_when_asked() -> None:
    make, inputs = MODELS["transformer"]
    found = reasoning.integrated_gradients(make(), inputs, Target(3), side="decoder", baseline=7)
    np.testing.assert_array_equal(found.tokens, TARGET)
    assert found.scores.shape == TARGET.shape
    assert np.abs(found.gap).max() < 0.05


def test_a_classifier_is_explained() -> None:
    model = lively(tx.models.BERTClassifier(tx.models.BERTConfig(VOCAB, 16, 1, 2, 8), 3))
    found = reasoning.integrated_gradients(model, TOKENS, Target((0, 1, 2)), baseline=7)
    truth = run(model, TOKENS)
    np.testing.assert_allclose(found.value, truth[np.arange(3), np.arange(3)], atol=1e-6)
    assert np.abs(found.gap).max() < 0.01


def test_one_token_and_one_example_do_and_examples_do_not_mix() -> None:
    model = gpt(layers=1, heads=1)
    assert reasoning.integrated_gradients(model, np.array([[3]])).scores.shape == (1, 1)
    assert reasoning.head_attribution(model, np.array([[3]])).scores.shape == (1, 1, 1)
    whole = reasoning.occlusion(gpt(), TOKENS, Target(3)).scores
    for i in range(3):
        one = reasoning.occlusion(gpt(), TOKENS[i : i + 1], Target(3)).scores
        np.testing.assert_allclose(one[0], whole[i], atol=1e-6)


@given(st.integers(1, 40), st.integers(1, 64))
@example(40, 32)
@settings(max_examples=12, deadline=None)
def test_no_more_points_are_asked_for_than_were_given(steps: int, rows: int) -> None:
    found = Counted()
    integrated(found, 0, np.zeros(1), steps, "adaptive", rows)
    assert 1 <= found.points <= steps


class Counted(Along):
    """F jumps at 0.3 and has no slope, so that no gap closes; counts the slopes asked for."""

    def __init__(self) -> None:
        self.values, self.points = np.ones((1, 1), np.float64), 0

    def slopes(self, example: int, values: Any, rows: int = 1) -> Any:
        self.points += len(values)
        return self.measured(example, values), np.zeros_like(values)

    def measured(self, example: int, values: Any, rows: int = 1) -> Any:
        return (values[:, 0] > 0.3).astype(np.float64)


@pytest.mark.parametrize("rule", ["midpoint", "gauss"])
def test_weights_sum_to_one(rule: str) -> None:
    for points in (1, 2, 9):
        places, weights = quadrature(points, rule)
        assert weights.sum() == pytest.approx(1)
        assert ((places > 0) & (places < 1)).all()
        assert weights @ places == pytest.approx(0.5)


def test_tables_and_pictures_name_the_target_and_the_gap() -> None:
    told: list[tuple[int, int]] = []
    found = reasoning.integrated_gradients(
        gpt(), TOKENS, Target(3, 5), on_progress=lambda *at: told.append(at)
    )
    assert told[-1][0] == told[-1][1]
    assert [a for a, _ in told] == sorted(a for a, _ in told)
    text = found.table().text()
    assert "a gap of" in text
    assert "logit of '3' less '5'" in text
    assert sum(row[3] for row in found.table().rows) == pytest.approx(1)
    assert "less" in reasoning.picture_bytes(found.picture()).decode()
    assert found.scores[0][found.order()[0]] == found.scores[0].max()
    large = reasoning.integrated_gradients(gpt(), TOKENS, steps=1, rule="midpoint")
    assert "The gap is large" in large.table().text()


def test_bad_input_is_explained() -> None:
    model = gpt()
    with pytest.raises(ValueError, match="not zero or mean"):
        reasoning.integrated_gradients(model, TOKENS, baseline="noise")
    with pytest.raises(IndexRangeError, match="vocabulary of 29"):
        reasoning.occlusion(model, TOKENS, baseline=29)
    with pytest.raises(ShapeError, match="does not fit"):
        reasoning.occlusion(model, TOKENS, baseline=np.zeros(3))
    with pytest.raises(ValueError, match="not at least 1"):
        reasoning.integrated_gradients(model, TOKENS, steps=0)
    with pytest.raises(ValueError, match="not adaptive"):
        reasoning.integrated_gradients(model, TOKENS, rule="simpson")
    with pytest.raises(PointError, match="no token_embedding of the decoder"):
        reasoning.gradient_x_input(model, TOKENS, side="decoder")
    with pytest.raises(PointError, match="no context of heads"):
        reasoning.head_attribution(model, TOKENS, at="norm.scale")
    make, inputs = MODELS["transformer"]
    for rows in (0, -1):
        with pytest.raises(ValueError, match="rows"):
            reasoning.occlusion(make(), inputs, rows=rows)
    weight = model.embedding.weight
    weight.assign_(np.full(weight.shape, np.nan, np.float32))
    with pytest.raises(NonFiniteError, match="not finite"):
        reasoning.integrated_gradients(model, TOKENS)
