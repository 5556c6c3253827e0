"""A model unfolded into edges is the model; an edge carries what its sender sends, or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_tx as tx
from tinygrad_tx import reasoning
from tinygrad_tx.errors import GraphError, PointError, ShapeError
from tinygrad_tx.reasoning.circuits.metric import LogitDifference
from tinygrad_tx.reasoning.circuits.unfolded import EdgeRuns, contributions, wiring

M = tx.models
RNG = np.random.default_rng(0)
CLEAN, CORRUPTED = RNG.integers(0, 19, (2, 3, 6))
METRIC = LogitDifference([1, 2, 3], [4, 5, 6])


def lively(model: Any) -> Any:
    rng = np.random.default_rng(1)
    for p in model.parameters():
        p.assign_(p.numpy() + rng.normal(0, 0.2, p.shape).astype(np.float32))
    return model.eval()


def gpt(layers: int = 2, heads: int = 2) -> Any:
    return lively(M.GPT(M.GPTConfig(19, 8, layers, heads, 8)))


def llama() -> Any:
    return lively(M.Llama(M.LlamaConfig(19, 8, 2, 4, 16, kv_heads=2)))


MODELS = {"gpt": gpt, "one head": lambda: gpt(1, 1), "grouped heads": llama}
each_model = pytest.mark.parametrize("kind", MODELS)


def sent(model: Any, tokens: Any) -> Any:
    with tx.no_grad():
        return contributions(model, tx.tensor(tokens))[1].numpy()


def value(model: Any, tokens: Any) -> Any:
    with tx.no_grad():
        return METRIC(model(tokens)).numpy()


@each_model
def test_with_every_edge_it_is_the_model_and_without_any_the_other_run(kind: str) -> None:
    model = MODELS[kind]()
    allowed = wiring(model).allowed
    runs = EdgeRuns(model, CLEAN, sent(model, CORRUPTED), METRIC)
    every, none = runs([allowed, np.zeros_like(allowed)])
    np.testing.assert_allclose(every, value(model, CLEAN), atol=2e-5)
    np.testing.assert_allclose(none, value(model, CORRUPTED), atol=2e-5)


@each_model
def test_what_is_sent_adds_up_to_the_stream(kind: str) -> None:
    model = MODELS[kind]()
    last = f"blocks.{len(model.blocks) - 1}.residual_after_feed_forward"
    stream = reasoning.capture(model, CLEAN, last)[last].numpy()
    parts = [block.attention.projection for block in model.blocks]
    biases = sum(p.bias.numpy() for p in parts if p.bias is not None)
    np.testing.assert_allclose(sent(model, CLEAN).sum(0) + biases, stream, atol=1e-5)


def test_a_head_sends_its_context_through_its_rows_of_the_projection() -> None:
    model = gpt()
    context = reasoning.capture(model, CLEAN, "blocks.1.attention.context")
    values = context["blocks.1.attention.context"].numpy()
    weight = model.blocks[1].attention.projection.weight.numpy().reshape(2, 4, 8)
    place = wiring(model).senders.index("a1.h1")
    np.testing.assert_allclose(sent(model, CLEAN)[place], values[:, 1] @ weight[1], atol=1e-5)


def test_one_token_and_one_prompt_are_enough() -> None:
    model = gpt()
    one = LogitDifference([1], [2])
    allowed = wiring(model).allowed
    runs = EdgeRuns(model, CLEAN[:1, :1], sent(model, CORRUPTED[:1, :1]), one)
    with tx.no_grad():
        expected = one(model(CLEAN[:1, :1])).numpy()
    np.testing.assert_allclose(runs([allowed])[0], expected, atol=1e-5)


def test_little_memory_gives_the_same_in_more_chunks() -> None:
    model = gpt()
    parts, rng = wiring(model), np.random.default_rng(3)
    masks = [parts.allowed & (rng.random(parts.allowed.shape) < 0.5) for _ in range(7)]
    other = sent(model, CORRUPTED)
    whole = EdgeRuns(model, CLEAN, other, METRIC)(masks)
    plans: list[Any] = []
    told: list[tuple[int, int]] = []
    little = EdgeRuns(
        model, CLEAN, other, METRIC, memory=1, on_plan=plans.append,
        on_chunk=lambda *a: told.append(a),
    )  # fmt: skip
    np.testing.assert_allclose(little(masks), whole, atol=1e-5)
    assert (plans[0].runs, plans[0].count) == (1, 7)
    assert plans[0].bytes > 0
    assert told == [(n, 7) for n in range(1, 8)]


def test_every_edge_goes_from_an_earlier_part() -> None:
    parts = wiring(gpt(2, 3 - 1))
    # 2 embeddings to 6 readers; + 2 heads to f0; + f0 to 6; + 2 heads to f1; + f1 to the logits
    assert len(parts.edges) == 6 * 2 + 4 + 6 * 5 + 7 + 8
    assert ("a0.h0", "f0") in parts.edges
    assert ("f0", "a0.h0.query") not in parts.edges


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.6))
def test_connected_edges_are_those_on_a_way_from_embedding_to_logits(
    seed: int, density: float
) -> None:
    parts = wiring(gpt())
    mask = parts.allowed & (np.random.default_rng(seed).random(parts.allowed.shape) < density)
    pairs = [(parts.senders[s], parts.receivers[r]) for r, s in np.argwhere(mask)]
    # A walk over (sender, receiver) pairs, one step at a time, from both ends.
    owner = {r: r.rsplit(".", 1)[0] if r.count(".") == 2 else r for r in parts.receivers}
    heard, needed = {"tokens", "positions"}, {"logits"}
    for _ in range(len(parts.senders)):
        heard |= {owner[r] for s, r in pairs if s in heard}
        needed |= {s for s, r in pairs if owner[r] in needed}
    expected = {(s, r) for s, r in pairs if s in heard and owner[r] in needed}
    found = parts.connected(mask)
    assert {(parts.senders[s], parts.receivers[r]) for r, s in np.argwhere(found)} == expected


def test_models_and_parts_that_there_are_not_are_refused() -> None:
    with pytest.raises(GraphError, match=r"edges: BERT .*activation_patching"):
        wiring(M.BERT(M.BERTConfig(19, 8, 1, 2, 8)))
    parts = wiring(gpt())
    with pytest.raises(PointError, match=r"no part is called 'a0\.h9'.*a0\.h"):
        parts.mask([("a0.h9", "logits")])
    with pytest.raises(PointError, match="f1 does not stand before f0"):
        parts.mask([("f1", "f0")])
    with pytest.raises(PointError, match="nearest: "):
        parts.matching("a0.h0.querry")
    assert parts.matching("a1.h0") == ["a1.h0.query", "a1.h0.key", "a1.h0.value"]
    assert parts.matching("a1.key") == ["a1.h0.key", "a1.h1.key"]
    assert parts.matching("logits") == ["logits"]


def test_a_metric_of_the_wrong_shape_is_refused() -> None:
    model = gpt()
    runs = EdgeRuns(model, CLEAN, sent(model, CORRUPTED), lambda logits: logits.sum(axis=-1))
    with pytest.raises(ShapeError, match=r"not one number for each of 3 rows"):
        runs([wiring(model).allowed])
