"""Path patching is what a run by hand says: one edge carries another value, all else is frozen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx import reasoning
from tinygrad_tx.errors import PointError, ShapeError
from tinygrad_tx.reasoning.circuits.metric import LogitDifference
from tinygrad_tx.reasoning.circuits.paths import edge_patching, path_patching
from tinygrad_tx.reasoning.circuits.unfolded import wiring

M = tx.models
CLEAN, CORRUPTED = np.random.default_rng(0).integers(0, 19, (2, 3, 6))
METRIC = LogitDifference([1, 2, 3], [4, 5, 6])


def gpt(layers: int = 2, heads: int = 2) -> Any:
    model = M.GPT(M.GPTConfig(19, 8, layers, heads, 8))
    rng = np.random.default_rng(1)
    for p in model.parameters():
        p.assign_(p.numpy() + rng.normal(0, 0.3, p.shape).astype(np.float32))
    return model.eval()


def head_out(model: Any, tokens: Any, layer: int, head: int) -> Any:
    path = f"blocks.{layer}.attention.context"
    context = reasoning.capture(model, tokens, path)[path].numpy()[:, head]
    wide = context.shape[-1]
    weight = model.blocks[layer].attention.projection.weight.numpy()
    return context @ weight[head * wide : (head + 1) * wide]


@pytest.mark.parametrize("kind", ["query", "key", "value"])
def test_a_path_to_a_head_is_the_two_runs_of_the_paper(kind: str) -> None:
    """By changes of points alone: what head a1.h1 reads with a0.h0 exchanged, put into a run."""
    model = gpt()
    change = head_out(model, CORRUPTED, 0, 0) - head_out(model, CLEAN, 0, 0)
    point = f"blocks.1.attention.{kind}"
    moved = {"blocks.1.residual_before": reasoning.add(change)}
    read = reasoning.look(model, CLEAN, point, moved)[point].numpy()
    out = reasoning.intervene(model, CLEAN, {point: reasoning.replace(read, heads=1)})
    found = path_patching(model, CLEAN, CORRUPTED, "a0.h0", f"a1.h1.{kind}", METRIC)
    np.testing.assert_allclose(found.patched, METRIC(out).numpy(), atol=2e-5)
    assert abs(found.effect) > 5e-6


def test_a_path_to_a_feed_forward_and_to_the_logits_is_the_same_by_points() -> None:
    model = gpt()
    change = head_out(model, CORRUPTED, 0, 1) - head_out(model, CLEAN, 0, 1)
    moved = {"blocks.1.residual_after_attention": reasoning.add(change)}
    point = "blocks.1.feed_forward.output"
    read = reasoning.look(model, CLEAN, point, moved)[point].numpy()
    by_hand = METRIC(reasoning.intervene(model, CLEAN, {point: read})).numpy()
    found = path_patching(model, CLEAN, CORRUPTED, "a0.h1", "f1", METRIC)
    np.testing.assert_allclose(found.patched, by_hand, atol=2e-5)
    last = {"blocks.1.residual_after_feed_forward": reasoning.add(change)}
    by_hand = METRIC(reasoning.intervene(model, CLEAN, last)).numpy()
    found = path_patching(model, CLEAN, CORRUPTED, "a0.h1", "logits", METRIC)
    np.testing.assert_allclose(found.patched, by_hand, atol=2e-5)


def attention_only() -> Any:
    """One block whose feed-forward writes nothing."""
    model = gpt(1, 2)
    for name in ("weight", "bias"):
        part = getattr(model.blocks[0].feed_forward.down, name)
        part.assign_(np.zeros(part.shape, np.float32))
    return model


def numpy_run(model: Any, read: dict[str, Any], direct: Any) -> Any:
    """Logits in float64: each head's query, key and value from streams of their own, and `direct`
    instead of the embeddings at the logits."""
    w = {k: v.astype(np.float64) for k, v in model.state_dict().items()}

    def norm(x: Any, path: str) -> Any:
        centred = x - x.mean(-1, keepdims=True)
        scale = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
        return centred / scale * w[f"{path}.weight"] + w[f"{path}.bias"]

    out, path, wide = direct, "blocks.0.attention", 4
    for head in range(2):
        q, k, v = (
            norm(read[f"a0.h{head}.{kind}"], "blocks.0.attention_norm")
            @ w[f"{path}.qkv.weight"][:, (2 * i + head) * wide :][:, :wide]
            + w[f"{path}.qkv.bias"][(2 * i + head) * wide :][:wide]
            for i, kind in enumerate(("query", "key", "value"))
        )
        scores = q @ k.swapaxes(-1, -2) / wide**0.5
        scores = np.where(np.tri(scores.shape[-1], dtype=bool), scores, -np.inf)
        powers = np.exp(scores - scores.max(-1, keepdims=True))
        pattern = powers / powers.sum(-1, keepdims=True)
        out = out + pattern @ v @ w[f"{path}.projection.weight"][head * wide :][:wide]
    out = out + w[f"{path}.projection.bias"]
    return norm(out, "norm") @ w["embedding.weight"].T


def test_every_path_from_the_tokens_agrees_with_numpy() -> None:
    model = attention_only()
    w = model.state_dict()
    clean, corrupted = (
        (w["embedding.weight"][t] + w["position.weight"][:6]).astype(np.float64)
        for t in (CLEAN, CORRUPTED)
    )
    readers = [f"a0.h{h}.{kind}" for h in range(2) for kind in ("query", "key", "value")]
    for receiver in [*readers, "logits"]:
        read = {r: corrupted if r == receiver else clean for r in readers}
        logits = numpy_run(model, read, corrupted if receiver == "logits" else clean)
        expected = [
            logits[i, -1, METRIC.right[i]] - logits[i, -1, METRIC.wrong[i]] for i in range(3)
        ]
        found = path_patching(model, CLEAN, CORRUPTED, "tokens", receiver, METRIC)
        np.testing.assert_allclose(found.patched, expected, atol=2e-5)


def test_all_edges_of_the_tokens_together_are_the_corrupted_run() -> None:
    model = gpt()
    every = [r for s, r in wiring(model).edges if s == "tokens"]
    found = path_patching(model, CLEAN, CORRUPTED, "tokens", every, METRIC)
    np.testing.assert_allclose(found.patched, found.corrupted, atol=2e-5)


def test_what_sends_the_same_on_both_prompts_has_no_effect() -> None:
    found = path_patching(gpt(), CLEAN, CORRUPTED, "positions", ["a0.query", "f1"], METRIC)
    np.testing.assert_allclose(found.patched, found.clean, atol=1e-5)
    assert found.receivers == ("a0.h0.query", "a0.h1.query", "f1")


def test_edges_patched_side_by_side_are_those_patched_one_at_a_time() -> None:
    model = gpt()
    edges = [("tokens", "a0.h1.key"), ("a0.h0", "f0"), ("f0", "a1.h0.value"), ("f1", "logits")]
    found = edge_patching(model, CLEAN, CORRUPTED, METRIC, edges)
    for sender, receiver in edges:
        alone = path_patching(model, CLEAN, CORRUPTED, sender, receiver, METRIC)
        assert found.of((sender, receiver)) == pytest.approx(alone.effect, abs=1e-5)
    assert found.of(("a0.h0", "logits")) == 0


def test_tables_and_errors() -> None:
    model = gpt()
    table = path_patching(model, CLEAN, CORRUPTED, "f0", "logits", METRIC).table()
    assert table.rows[0][:2] == ("f0", "logits")
    assert table.rows[0][-1] is None  # three prompts give no interval
    with pytest.raises(PointError, match="f1 does not stand before a0"):
        path_patching(model, CLEAN, CORRUPTED, "f1", "a0.h0", METRIC)
    with pytest.raises(ShapeError, match="path_patching: clean prompts are"):
        path_patching(model, CLEAN, CORRUPTED[:, :4], "f0", "logits", METRIC)
