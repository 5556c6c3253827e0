"""Soft prompts and prefixes: what they compute, what they train, and what they leave alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.data import Examples
from tinygrad_tx.errors import CheckpointError, GraphError, ShapeError
from tinygrad_tx.nn.cache import Kept
from tinygrad_tx.prompt import Answering, PrefixTuning, SoftPrompt
from tinygrad_tx.train import RunFolder, TrainConfig, fit

TOKENS = np.arange(14).reshape(2, 7) % 11
KINDS = ["gpt", "llama"]
METHODS = [SoftPrompt, PrefixTuning]


def lively(model: Any, scale: float = 0.15) -> Any:
    rng = np.random.default_rng(0)
    for p in model.parameters():
        p.assign_(p.numpy() + rng.normal(0, scale, p.shape).astype(np.float32))
    return model.eval()


def model_of(kind: str) -> Any:
    if kind == "gpt":
        return lively(tx.models.GPT(tx.models.GPTConfig(11, 16, 2, 4, 32)))
    return lively(tx.models.Llama(tx.models.LlamaConfig(11, 16, 2, 4, 32, kv_heads=2)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_soft_prompt_of_real_tokens_is_the_model_on_those_tokens(kind: str) -> None:
    model = model_of(kind)
    truth = model(np.concatenate([np.tile([[3, 9, 4]], (2, 1)), TOKENS], 1)).numpy()[:, 3:]
    tuned = SoftPrompt(model, 3, start=[3, 9, 4])
    np.testing.assert_allclose(tuned(TOKENS).numpy(), truth, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_soft_prompt_is_the_model_on_vectors_put_before_by_hand(kind: str) -> None:
    """New rows of the embedding, with the vectors as their values, read as tokens 11 to 13."""
    model = model_of(kind)
    tuned = lively(SoftPrompt(model, 3), 0.5)
    wide = type(model)(tx.models.GPTConfig(14, 16, 2, 4, 32) if kind == "gpt" else
                       tx.models.LlamaConfig(14, 16, 2, 4, 32, kv_heads=2))  # fmt: skip
    found = tuned(TOKENS).numpy()
    state = tuned.remove().state_dict()
    state["embedding.weight"] = np.concatenate([state["embedding.weight"], tuned.vectors.numpy()])
    if kind == "llama":
        more = np.zeros((32, 3), np.float32)
        state["output.weight"] = np.concatenate([state["output.weight"], more], 1)
    wide.load_state_dict(state)
    whole = np.concatenate([np.tile([[11, 12, 13]], (2, 1)), TOKENS], 1)
    np.testing.assert_allclose(found, wide.eval()(whole).numpy()[:, 3:, :11], atol=1e-5)


def attention_by_hand(part: Any, x: Any, keys: Any, values: Any) -> Any:
    """Causal attention over keys (kv_heads, length, width) and those of x, in float64."""
    batch, time, _ = x.shape
    bias = 0 if part.qkv.bias is None else part.qkv.bias.numpy().astype(np.float64)
    every = x @ part.qkv.weight.numpy().astype(np.float64) + bias
    every = every.reshape(batch, time, -1, part.head_width).transpose(0, 2, 1, 3)
    q, k, v = np.split(every, [part.heads, part.heads + part.kv_heads], 1)
    repeat = part.heads // part.kv_heads
    out = np.empty_like(q)
    for b, h in np.ndindex(batch, part.heads):
        own = h // repeat
        some = np.concatenate([keys[own], k[b, own]])
        scores = q[b, h] @ some.T / np.sqrt(part.head_width)
        ahead = np.arange(len(some)) - keys.shape[1] > np.arange(time)[:, None]
        weights = np.exp(np.where(ahead, -np.inf, scores))
        weights /= weights.sum(-1, keepdims=True)
        out[b, h] = weights @ np.concatenate([values[own], v[b, own]])
    joined = out.transpose(0, 2, 1, 3).reshape(batch, time, -1)
    more = 0 if part.projection.bias is None else part.projection.bias.numpy()
    return joined @ part.projection.weight.numpy().astype(np.float64) + more


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
def test_a_prefix_is_attention_over_keys_and_values_put_before_by_hand(kv_heads: int) -> None:
    rng = np.random.default_rng(0)
    part = tx.nn.MultiHeadAttention(32, 4, rng, causal=True, kv_heads=kv_heads, deviation=0.3)
    x = rng.normal(size=(2, 6, 32))
    keys, values = rng.normal(size=(2, kv_heads, 5, 8))
    prefix = Kept(*(tx.tensor(a[None].astype(np.float32)) for a in (keys, values)))
    found = part(tx.tensor(x.astype(np.float32)), prefix=prefix).numpy()
    np.testing.assert_allclose(found, attention_by_hand(part, x, keys, values), atol=1e-5)
    empty = np.zeros((kv_heads, 0, 8))
    plain = part(tx.tensor(x.astype(np.float32))).numpy()
    np.testing.assert_allclose(plain, attention_by_hand(part, x, empty, empty), atol=1e-5)


def test_masks_and_biases_leave_a_prefix_in_sight() -> None:
    rng = np.random.default_rng(0)
    x = tx.tensor(rng.normal(size=(2, 6, 32)).astype(np.float32))
    prefix = Kept(*(tx.randn((1, 4, 5, 8)) for _ in range(2)))
    plain = tx.nn.MultiHeadAttention(32, 4, np.random.default_rng(1), causal=True)
    masked = tx.nn.MultiHeadAttention(32, 4, np.random.default_rng(1))
    sees = np.tril(np.ones((6, 6), bool))
    truth = plain(x, prefix=prefix).numpy()
    np.testing.assert_allclose(masked(x, sees, prefix=prefix).numpy(), truth, atol=1e-6)
    by_bias = np.where(sees, 0, -1e9).astype(np.float32)
    np.testing.assert_allclose(masked(x, None, by_bias, prefix=prefix).numpy(), truth, atol=1e-6)
    every = masked(x, np.ones((1, 1, 1, 1), bool), prefix=prefix).numpy()
    np.testing.assert_allclose(every, masked(x, prefix=prefix).numpy(), atol=1e-6)
    alibi = tx.nn.ALiBi(4)
    near = tx.nn.MultiHeadAttention(32, 4, np.random.default_rng(1), causal=True, position=alibi)
    bias = alibi(6, 6).numpy()
    np.testing.assert_allclose(
        near(x, prefix=prefix).numpy(), plain(x, None, bias, prefix=prefix).numpy(), atol=1e-6
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_prefix_starts_as_what_the_model_makes_of_its_first_tokens(kind: str) -> None:
    """Under rotary positions and learned ones alike, the keys are those of the cache."""
    model = model_of(kind)
    tuned = PrefixTuning(model, 3, start=[3, 9, 4])
    cache = model.cache(1, 3)
    model.hidden(np.array([[3, 9, 4]]), cache)
    for own, kept in zip(tuned.prefix(), cache.blocks, strict=True):
        np.testing.assert_array_equal(own.keys.numpy(), kept.keys.numpy())
        np.testing.assert_array_equal(own.values.numpy(), kept.values.numpy())


def test_a_prefix_beside_a_cache_that_has_none_is_refused_with_the_way_to_do_it() -> None:
    model = model_of("gpt")
    prefix = [Kept(*(tx.zeros((1, 4, 2, 8)) for _ in range(2)))] * 2
    with pytest.raises(GraphError, match=r"beside kept keys.*begin\(prefix\)"):
        model.hidden(TOKENS, model.cache(2), prefix=prefix)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_training_changes_its_own_parameters_alone(kind: str, method: Any, tmp_path: Path) -> None:
    model = model_of(kind)
    before = {n: p.numpy().tobytes() for n, p in model.named_parameters()}
    frozen = dict(model.named_parameters())
    logits = model(TOKENS).numpy()
    tuned = method(model, 4)
    assert set(tuned.state_dict()) <= {"vectors", "keys", "values"}
    start = tuned.state_dict()
    batches = Examples([np.tile(TOKENS, (8, 1)), np.full(16, 6), np.tile([0, 1], 8)], 8)
    config = TrainConfig(30, 8, 0.05, 0, 0.0, 1.0, 30, 1)
    done = fit(Answering(tuned, [2, 5]), batches, batches, config, RunFolder(tmp_path))
    assert done.validation < 0.7 * done.first
    for name, value in tuned.state_dict().items():
        assert abs(value - start[name]).max() > 0.01
    assert {n: p.numpy().tobytes() for n, p in frozen.items()} == before
    assert not np.allclose(tuned(TOKENS).numpy(), logits, atol=0.1)
    assert tuned.remove()(TOKENS).numpy().tobytes() == logits.tobytes()
    assert {n for n, _ in model.named_parameters()} == before.keys()


def test_what_is_learnt_is_the_word_among_those_of_the_labels() -> None:
    model = model_of("gpt")
    last, words, labels = np.array([3, 6]), [7, 2, 9], np.array([2, 0])
    logits = model(TOKENS).numpy().astype(np.float64)[[0, 1], last][:, words]
    truth = np.log(np.exp(logits).sum(1)) - logits[[0, 1], labels]
    found = Answering(model, words).loss(*(tx.tensor(a) for a in (TOKENS, last, labels)))
    assert found.item() == pytest.approx(truth.mean(), abs=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_what_was_trained_is_saved_alone_and_read_back(method: Any, tmp_path: Path) -> None:
    tuned = lively(method(model_of("llama"), 4))
    path = tmp_path / "own.safetensors"
    tuned.save(path)
    assert path.stat().st_size < 4 * tuned.num_parameters() + 500
    again = method(model_of("llama"), 4)
    again.load(path)
    np.testing.assert_array_equal(again(TOKENS).numpy(), tuned(TOKENS).numpy())
    other = method(model_of("llama"), 5)
    with pytest.raises(CheckpointError, match="this length"):
        other.load(path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(CheckpointError, match="damaged"):
        again.load(path)
    with pytest.raises(CheckpointError, match="cannot be read"):
        again.load(tmp_path / "none")


def test_a_prompt_takes_places_and_a_prefix_does_not() -> None:
    full = np.zeros((1, 16), np.int64)
    tuned = SoftPrompt(model_of("gpt"), 4)
    assert tuned.config.context == 12
    with pytest.raises(ShapeError, match="not 1 to 12"):
        tuned(full)
    assert PrefixTuning(model_of("gpt"), 4)(full).shape == (1, 16, 11)
    with pytest.raises(ShapeError, match="length 16"):
        SoftPrompt(model_of("gpt"), 16)
    with pytest.raises(ShapeError, match="no tokens"):
        PrefixTuning(model_of("gpt"), 2, start=[])
