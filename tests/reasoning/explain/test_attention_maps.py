"""Attention maps: rollout is the NumPy product, flow is the smallest cut."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from tests.reasoning.explain.planted_induction import planted
from tests.reasoning.explain.small_models import MODELS, TARGET, TOKENS, gpt
from tinygrad_tx import reasoning
from tinygrad_tx.errors import IndexRangeError, PointError, ShapeError
from tinygrad_tx.reasoning.explain.attention_maps import network
from tinygrad_tx.reasoning.explain.max_flow import max_flow

every_model = pytest.mark.parametrize("kind", MODELS)


def smallest_cut(capacity: Any, source: int, sink: int) -> float:
    """Over all sets of nodes that hold the source and not the sink: what leaves the set."""
    others = [i for i in range(len(capacity)) if i not in (source, sink)]
    best = np.inf
    for chosen in itertools.product((False, True), repeat=len(others)):
        inside = np.zeros(len(capacity), bool)
        inside[source] = True
        inside[[o for o, c in zip(others, chosen, strict=True) if c]] = True
        best = min(best, capacity[inside][:, ~inside].sum())
    return float(best)


@given(
    st.integers(2, 7).flatmap(
        lambda n: arrays(np.float64, (n, n), elements=st.floats(0, 1, width=16) | st.just(0.0))
    )
)
@settings(max_examples=80, deadline=None)
def test_the_largest_flow_is_the_smallest_cut(capacity: Any) -> None:
    np.fill_diagonal(capacity, 0)
    assert max_flow(capacity, 0, len(capacity) - 1) == pytest.approx(
        smallest_cut(capacity, 0, len(capacity) - 1), abs=1e-9
    )


def test_a_flow_has_to_take_back_what_it_sent_first() -> None:
    """The shortest way, 0 1 4 7, blocks both others: only by an edge that runs back is it 2."""
    capacity = np.zeros((8, 8))
    for way in ((0, 1, 4, 7), (0, 2, 3, 4, 7), (0, 1, 5, 6, 7)):
        capacity[way[:-1], way[1:]] = 1
    assert max_flow(capacity, 0, 7) == 2


def test_no_way_is_no_flow_and_bad_networks_are_refused() -> None:
    assert max_flow(np.zeros((3, 3)), 0, 2) == 0
    with pytest.raises(ValueError, match="two nodes"):
        max_flow(np.ones((3, 3)), 1, 1)
    with pytest.raises(ValueError, match="two nodes"):
        max_flow(-np.ones((3, 3)), 0, 1)
    with pytest.raises(ValueError, match="two nodes"):
        max_flow(np.full((3, 3), np.nan), 0, 1)
    with pytest.raises(ShapeError, match="not square"):
        max_flow(np.ones((3, 2)), 0, 1)


@every_model
def test_rows_of_all_patterns_sum_to_one(kind: str) -> None:
    make, inputs = MODELS[kind]
    found = reasoning.attention_patterns(make(), inputs)
    for path, pattern in found.patterns.items():
        np.testing.assert_allclose(pattern.sum(-1), 1, atol=1e-5)
        assert found.queries[path].shape == (3, pattern.shape[2])
        assert found.keys[path].shape == (3, pattern.shape[3])
    table = found.table()
    assert len(table.rows) == sum(p.shape[1] for p in found.patterns.values())
    assert "Jain and Wallace 2019" in table.text()


def test_cross_attention_has_words_of_both_sides() -> None:
    make, inputs = MODELS["transformer"]
    found = reasoning.attention_patterns(make(), inputs)
    cross = "decoder.blocks.0.cross_attention.pattern"
    np.testing.assert_array_equal(found.queries[cross], TARGET)
    np.testing.assert_array_equal(found.keys[cross], TOKENS)
    np.testing.assert_array_equal(found.keys["decoder.blocks.0.attention.pattern"], TARGET)
    np.testing.assert_array_equal(found.keys["encoder.blocks.0.attention.pattern"], TOKENS)
    assert cross in reasoning.picture_bytes(found.picture(cross, 1)).decode()
    with pytest.raises(IndexRangeError, match="head 2"):
        found.picture(cross, 2)
    with pytest.raises(PointError, match="nearest"):
        found["decoder.blocks.0.cross_attention.patern"]


def mixing(model: Any, inputs: Any, at: str) -> list[Any]:
    found = reasoning.capture(model, inputs, at).numpy().values()
    return [0.5 * a.astype(np.float64).mean(1) + 0.5 * np.eye(a.shape[-1]) for a in found]


@pytest.mark.parametrize(
    ("kind", "side", "at"),
    [
        ("gpt", None, "blocks.*.attention.pattern"),
        ("bert", None, "encoder.blocks.*.attention.pattern"),
        ("transformer", None, "decoder.blocks.*.attention.pattern"),
        ("transformer", "encoder", "encoder.blocks.*.attention.pattern"),
    ],
)
def test_rollout_is_the_product_of_the_layers(kind: str, side: str | None, at: str) -> None:
    make, inputs = MODELS[kind]
    model = make()
    first, second = mixing(model, inputs, at)
    found = reasoning.attention_rollout(model, inputs, side=side)
    np.testing.assert_allclose(found.shares, second @ first, atol=1e-6)
    np.testing.assert_allclose(found.shares.sum(-1), 1, atol=1e-9)


def test_flow_is_the_smallest_cut_of_the_layers() -> None:
    model, tokens = gpt(), TOKENS[:2, :3]
    found = reasoning.attention_flow(model, tokens, (0, -1))
    assert found.positions == (0, 2)
    layers = mixing(model, tokens, "blocks.*.attention.pattern")
    for example in range(2):
        capacity = network([a[example] for a in layers])
        for row, position in enumerate(found.positions):
            for token in range(3):
                cut = smallest_cut(capacity, 6 + position, token)
                assert found.raw[example, row, token] == pytest.approx(cut, abs=1e-5)
    np.testing.assert_allclose(found.shares.sum(-1), 1, atol=1e-9)


def test_both_follow_the_planted_heads() -> None:
    """Two sharp heads, of four: the last token reads what followed it last time."""
    tokens = np.array([[3, 5, 1, 6, 3]])
    model = planted()
    for found in (
        reasoning.attention_rollout(model, tokens),
        reasoning.attention_flow(model, tokens),
    ):
        shares = found.shares[0, -1].copy()
        shares[-1] = 0  # the token itself comes down the residual path
        assert shares.argmax() == 1 or shares.argmax() == 0
        assert found.table().rows[0][0] == 4
        assert "residual path" in found.table().text()
        assert "share" in reasoning.picture_bytes(found.picture()).decode()


def test_one_token_gets_everything() -> None:
    model, tokens = gpt(), np.array([[3]])
    assert reasoning.attention_rollout(model, tokens).shares.item() == pytest.approx(1)
    assert reasoning.attention_flow(model, tokens).shares.item() == pytest.approx(1)


def test_bad_input_is_explained() -> None:
    with pytest.raises(IndexRangeError, match="within the 7"):
        reasoning.attention_flow(gpt(), TOKENS, (7,))
    with pytest.raises(PointError, match="sides that attend: the whole model"):
        reasoning.attention_rollout(gpt(), TOKENS, side="encoder")
    model = gpt()
    with pytest.raises(PointError, match="sides that attend: none"):
        reasoning.attention_rollout(lambda t: model.embedding(t), TOKENS)
