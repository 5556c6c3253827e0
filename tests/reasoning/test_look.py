"""Looking and changing: what is captured is what the model computes, a change does what it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_tx as tx
from tinygrad_tx import reasoning
from tinygrad_tx.errors import IndexRangeError, PointError, ShapeError

M = tx.models
TOKENS = np.random.default_rng(0).integers(0, 29, (3, 7))
TARGET = np.random.default_rng(1).integers(0, 29, (3, 5))


def lively(model: Any) -> Any:
    """With weights large enough that every part matters."""
    rng = np.random.default_rng(2)
    for p in model.parameters():
        p.assign_(p.numpy() + rng.normal(0, 0.15, p.shape).astype(np.float32))
    return model.eval()


def gpt() -> Any:
    return lively(M.GPT(M.GPTConfig(29, 16, 2, 2, 8)))


MODELS = {
    "gpt": (gpt, (TOKENS,)),
    "llama": (lambda: lively(M.Llama(M.LlamaConfig(29, 16, 2, 4, 16, kv_heads=2))), (TOKENS,)),
    "bert": (lambda: lively(M.BERT(M.BERTConfig(29, 16, 2, 2, 8))), (TOKENS,)),
    "transformer": (
        lambda: lively(M.EncoderDecoder(M.EncoderDecoderConfig(29, 16, 1, 2, 2, 8))),
        (TOKENS, TARGET),
    ),
    "t5": (
        lambda: lively(M.EncoderDecoder(M.EncoderDecoderConfig(29, 16, 1, 1, 2, 8, form="t5"))),
        (TOKENS, TARGET),
    ),
}
every_model = pytest.mark.parametrize("kind", MODELS)


def layer_norm(x: Any, weight: Any, bias: Any) -> Any:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * weight + bias


def test_captured_values_are_those_of_the_papers_formulas() -> None:
    """Every point of a block of GPT, in float64 NumPy, from the residual stream before it."""
    model = gpt()
    w = {k: v.astype(np.float64) for k, v in model.state_dict().items()}
    found = {k: v.astype(np.float64) for k, v in reasoning.capture(model, TOKENS).numpy().items()}
    x = w["embedding.weight"][TOKENS] + w["position.weight"][: TOKENS.shape[1]]
    close = lambda name, value: np.testing.assert_allclose(found[name], value, atol=3e-6)  # noqa: E731
    close("blocks.0.residual_before", x)
    at = "blocks.0.attention"
    normed = layer_norm(x, w[f"{at}_norm.weight"], w[f"{at}_norm.bias"])
    close(f"{at}_norm.normalized", normed)
    close(f"{at}_norm.scale", (x.var(-1, keepdims=True) + 1e-5) ** -0.5)
    qkv = normed @ w[f"{at}.qkv.weight"] + w[f"{at}.qkv.bias"]
    q, k, v = qkv.reshape(3, 7, 3, 2, 4).transpose(2, 0, 3, 1, 4)
    for name, value in (("query", q), ("key", k), ("value", v)):
        close(f"{at}.{name}", value)
    scores = q @ k.swapaxes(-1, -2) / 2
    scores[..., ~np.tri(7, dtype=bool)] = -np.inf
    close(f"{at}.scores", scores)
    pattern = np.exp(scores - scores.max(-1, keepdims=True))
    pattern /= pattern.sum(-1, keepdims=True)
    close(f"{at}.pattern", pattern)
    close(f"{at}.context", pattern @ v)
    joined = (pattern @ v).transpose(0, 2, 1, 3).reshape(3, 7, 8)
    added = joined @ w[f"{at}.projection.weight"] + w[f"{at}.projection.bias"]
    close(f"{at}.output", added)
    close("blocks.0.residual_after_attention", x + added)


@every_model
def test_points_are_listed_without_computing_and_are_what_capture_finds(kind: str) -> None:
    make, inputs = MODELS[kind]
    model = make()
    listed = reasoning.points(model, *inputs)
    found = reasoning.capture(model, inputs)
    assert listed.keys() == found.keys()
    for path, point in listed.items():
        assert found[path].shape == point.shape
        assert len(point.axes) == len(point.shape), path
    names = {p.rpartition(".")[2] for p in listed}
    assert {"query", "key", "value", "scores", "pattern", "context", "scale", "hidden"} <= names


@every_model
def test_looking_at_all_points_leaves_the_result(kind: str) -> None:
    make, inputs = MODELS[kind]
    model = make()
    found = reasoning.capture(model, inputs).output.numpy()
    np.testing.assert_allclose(found, model(*inputs).numpy(), atol=2e-5)


@every_model
def test_putting_each_value_in_its_own_place_changes_no_bit(kind: str) -> None:
    make, inputs = MODELS[kind]
    model = make()
    for path in reasoning.points(model, *inputs):
        seen = reasoning.capture(model, inputs, path)
        again = reasoning.look(model, inputs, path, {path: seen[path]})
        assert again.output.numpy().tobytes() == seen.output.numpy().tobytes(), path


@every_model
def test_every_point_matters_and_its_change_is_seen_below(kind: str) -> None:
    make, inputs = MODELS[kind]
    model = make()
    plain = model(*inputs).numpy()
    for path, point in reasoning.points(model, *inputs).items():
        changed = reasoning.intervene(model, inputs, {path: reasoning.scale(1.5)}).numpy()
        # Scores are shifted by the softmax, but not scaled away.
        assert np.abs(changed - plain).max() > 1e-6, f"{point} is a dead end"


def test_one_point_asked_for_opens_one_operator() -> None:
    model = gpt()

    def ops(at: str) -> list[str]:
        step = tx.jit(lambda t: dict(reasoning.capture(model, t, at)))
        graph = step.graph(tx.tensor(TOKENS))
        return [n.op.name for n in tx.graph.walk.collect(graph)]

    assert ops("logits").count("attention") == 2
    assert ops("blocks.0.attention.pattern").count("attention") == 0  # nothing after it is needed
    assert ops("blocks.1.attention.pattern").count("attention") == 1
    assert ops("blocks.1.attention_norm.scale").count("layer_norm") == 2


def test_points_that_nobody_asks_for_are_not_in_the_program() -> None:
    model = gpt()
    assert "point" not in tx.jit(model).plan(tx.tensor(TOKENS)).text()


def test_under_jit_the_values_are_results_of_one_program() -> None:
    model = gpt()
    step = tx.jit(lambda t: dict(reasoning.capture(model, t, "blocks.*.attention.*")))
    found, eager = step(tx.tensor(TOKENS)), reasoning.capture(model, TOKENS, "blocks.*.attention.*")
    assert found.keys() == eager.keys()
    for path, value in found.items():
        np.testing.assert_allclose(value.numpy(), eager[path].numpy(), atol=2e-6)


def test_gradients_by_points_are_finite_differences() -> None:
    model = gpt().astype(tx.float64)
    measure = lambda logits: (logits[:, -1] ** 2).sum()  # noqa: E731
    rng = np.random.default_rng(3)
    paths = ["blocks.0.residual_before", "blocks.1.attention.pattern", "blocks.0.attention.context"]
    seen = reasoning.capture(model, TOKENS, paths)
    slopes = reasoning.gradients(measure(seen.output), seen)
    for path in paths:
        way = rng.normal(size=seen[path].shape)
        there, back = (
            float(measure(reasoning.intervene(model, TOKENS, {path: reasoning.add(h * way)})))
            for h in (1e-5, -1e-5)
        )
        assert (slopes[path].numpy() * way).sum() == pytest.approx((there - back) / 2e-5, rel=1e-5)


def test_a_change_later_than_a_point_does_not_reach_it() -> None:
    model = gpt()
    seen = reasoning.look(model, TOKENS, "*", {"blocks.1.residual_before": reasoning.zero()})
    plain = reasoning.capture(model, TOKENS)
    assert not seen["blocks.1.residual_before"].numpy().any()
    assert seen["blocks.0.residual_after_feed_forward"].numpy().any()
    same = "blocks.0.attention.pattern"
    assert seen[same].numpy().tobytes() == plain[same].numpy().tobytes()


@settings(max_examples=25, deadline=None)
@given(
    positions=st.none() | st.sets(st.integers(-7, 6), min_size=1).map(list),
    heads=st.none() | st.integers(-2, 1),
    units=st.none() | st.sets(st.integers(0, 3), min_size=1).map(list),
    examples=st.none() | st.integers(0, 2),
)
def test_a_part_is_what_numpy_indexing_calls_it(
    positions: Any, heads: Any, units: Any, examples: Any
) -> None:
    path = "blocks.1.attention.query"
    plain = reasoning.capture(GPT, TOKENS, path)[path].numpy()
    part = {"positions": positions, "heads": heads, "units": units, "examples": examples}
    seen = reasoning.look(GPT, TOKENS, path, {path: reasoning.replace(9.0, **part)})
    want = plain.copy()
    full = [
        range(s) if i is None else np.atleast_1d(i)
        for s, i in zip(plain.shape, (examples, heads, positions, units), strict=True)
    ]
    want[np.ix_(*(np.asarray(i) for i in full))] = 9.0
    np.testing.assert_array_equal(seen[path].numpy(), want)


GPT = gpt()


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        (
            {"blocks.1.residul_before": 0},
            PointError,
            ("residul_before", "blocks.1.residual_before"),
        ),
        ({"blocks.7.*": 0}, PointError, ("blocks.7", "points(model)")),
        ({"blocks.1.residual_before": np.zeros(3)}, ShapeError, ("(3,)", "width 8")),
        ({"logits": reasoning.zero(heads=0)}, ShapeError, ("no axis for heads",)),
        ({"logits": reasoning.zero(units=29)}, IndexRangeError, ("[29]", "29")),
        ({"logits": reasoning.zero(positions=[0, -8])}, IndexRangeError, ("[-8]", "7")),
        ({"logits": lambda x: x[:2]}, ShapeError, ("(2, 7, 29)", "logits")),
    ],
)
def test_a_change_that_fits_nowhere_says_so(changes: Any, error: Any, words: Any) -> None:
    with pytest.raises(error) as caught:
        reasoning.intervene(GPT, TOKENS, changes)
    assert all(word in str(caught.value) for word in words)


def test_a_value_that_is_not_finite_can_be_replaced() -> None:
    path = "blocks.1.residual_before"
    broken = reasoning.intervene(
        GPT, TOKENS, {"blocks.0.feed_forward.output": np.nan, path: np.zeros(8)}
    )
    assert np.isfinite(broken.numpy()).all()


def test_a_module_called_twice_has_points_for_each_call() -> None:
    model = gpt()
    both = lambda a, b: model(a) + model(b)  # noqa: E731
    other = (TOKENS + 1) % 29
    found = reasoning.capture(both, (TOKENS, other), ["logits", "logits@2"])
    np.testing.assert_allclose(found["logits"].numpy(), model(TOKENS).numpy(), atol=1e-5)
    np.testing.assert_allclose(found["logits@2"].numpy(), model(other).numpy(), atol=1e-5)
