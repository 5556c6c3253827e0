"""A model with a soft prompt or a prefix writes with kept keys what it says without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from safetensors.numpy import save

import tinygrad_tx as tx
from tinygrad_tx.errors import CheckpointError, DataError, IndexRangeError, ShapeError
from tinygrad_tx.models.generation import Decoder, beam_search, stream, write_batch
from tinygrad_tx.models.sampling import Sampling
from tinygrad_tx.nn import ALiBi, Cache, MultiHeadAttention
from tinygrad_tx.nn.cache import Kept
from tinygrad_tx.prompt import PrefixTuning, SoftPrompt, load_tuned

VOCAB, CONTEXT, LENGTH = 13, 24, 3
WAYS = [(kind, method) for kind in ("gpt", "llama") for method in (SoftPrompt, PrefixTuning)]
some = settings(max_examples=6, deadline=None)


def stirred(model: Any, seed: int, scale: float = 0.4) -> Any:
    """Weights large enough that texts are no constant."""
    rng = np.random.default_rng(seed)
    for p in model.parameters():
        p.assign_(p.numpy() + rng.normal(0, scale, p.shape).astype(np.float32))
    return model.eval()


def tuned_of(kind: str, method: Any, seed: int = 0, length: int = LENGTH) -> Any:
    """A tuned model whose own vectors are far from those of tokens."""
    if kind == "gpt":
        model: Any = tx.models.GPT(tx.models.GPTConfig(VOCAB, CONTEXT, 2, 2, 16), seed)
    else:
        config = tx.models.LlamaConfig(VOCAB, CONTEXT, 2, 4, 16, kv_heads=2, head_width=6)
        model = tx.models.Llama(config, seed)
    return stirred(method(stirred(model, seed), length), seed + 1, 1.0)


def alone(model: Any, text: list[int]) -> np.ndarray[Any, Any]:
    """Logits after the last token, without any cache."""
    return np.asarray(model(np.array([text])).numpy()[0, -1])


def likeliest(model: Any, text: list[int], count: int) -> list[int]:
    """Greedy, without any cache; a full context goes on from its last half."""
    context, seen, window = model.config.context, list(text), list(text)[-model.config.context :]
    for _ in range(count):
        seen.append(int(alone(model, window).argmax()))
        window = [*window, seen[-1]] if len(window) < context else seen[-max(1, context // 2) :]
    return seen[len(text) :]


@some
@given(
    way=st.sampled_from(WAYS),
    counts=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    steps=st.lists(st.integers(1, 3), max_size=4),
    length=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_kept_keys_give_the_logits_of_the_whole_text_behind_what_was_trained(
    way: tuple[str, Any], counts: list[int], steps: list[int], length: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    model = tuned_of(*way, seed, length)
    texts = [rng.integers(0, VOCAB, n).tolist()[: model.config.context - 12] for n in counts]
    decoder = Decoder(model, len(texts))
    for _ in range(2):  # what was kept of a text is forgotten at the next one, the prompt is not
        found = decoder.read(texts)
        for row, text in zip(found, texts, strict=True):
            np.testing.assert_allclose(row, alone(model, text), atol=1e-4, rtol=1e-4)
    for count in steps:
        new = rng.integers(0, VOCAB, (len(texts), count))
        found = decoder.step(new)
        texts = [[*text, *more] for text, more in zip(texts, new.tolist(), strict=True)]
        for rows, text in zip(found, texts, strict=True):
            np.testing.assert_allclose(rows[-1], alone(model, text), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("way", WAYS)
def test_texts_go_on_beyond_the_context_as_without_a_cache(way: tuple[str, Any]) -> None:
    model = tuned_of(*way)
    start = [1, 4, 7, 2, 9]
    count = CONTEXT + 8
    truth = likeliest(model, start, count)
    assert len(set(truth)) > 2
    assert list(stream(model, start, count, temperature=0)) == truth
    assert list(model.generate(start, count, temperature=0)) == truth
    others = [[3], [8, 8, 0, 5, 1, 2, 6, 11]]
    batch = write_batch(model, [start, *others], 9, Sampling(temperature=0))
    assert batch == [likeliest(model, text, 9) for text in (start, *others)]
    plain = model.remove()
    assert list(stream(plain, start, count, temperature=0)) != truth


@pytest.mark.parametrize("way", WAYS)
def test_one_beam_is_the_likeliest_text_and_beams_keep_the_prompt(way: tuple[str, Any]) -> None:
    model = tuned_of(*way)
    assert beam_search(model, [1, 2], 8, 1) == likeliest(model, [1, 2], 8)
    found = beam_search(model, [1, 2], 8, 3)
    assert sure(model, [1, 2], found) >= sure(model, [1, 2], likeliest(model, [1, 2], 8)) - 1e-4


def sure(model: Any, text: list[int], more: list[int]) -> float:
    """log P of what follows a text, without a cache."""
    total = 0.0
    for i, token in enumerate(more):
        logits = alone(model, [*text, *more[:i]]).astype(np.float64)
        total += logits[token] - np.log(np.exp(logits - logits.max()).sum()) - logits.max()
    return total


@pytest.mark.parametrize("kind", ["gpt", "llama"])
def test_a_soft_prompt_of_real_tokens_writes_as_the_model_after_those_tokens(kind: str) -> None:
    tuned = tuned_of(kind, SoftPrompt)
    model = tuned.remove()
    behind = SoftPrompt(model, 3, start=[3, 9, 4])
    said = list(stream(behind, [1, 2], 15, temperature=0.8, seed=5))
    assert said == list(stream(model, [3, 9, 4, 1, 2], 15, temperature=0.8, seed=5))


def test_a_bias_by_place_leaves_a_kept_prefix_in_sight() -> None:
    """ALiBi: keys of a prefix stand at no place, so that nothing is taken from their scores."""
    rng = np.random.default_rng(0)
    part = MultiHeadAttention(32, 4, rng, causal=True, position=ALiBi(4), deviation=0.3)
    x = rng.normal(size=(2, 6, 32)).astype(np.float32)
    prefix = Kept(*(tx.randn((1, 4, 5, 8)) for _ in range(2)))
    truth = part(tx.tensor(x), prefix=prefix).numpy()
    cache = Cache.of(2, 6, 1, 4, 8, before=5)
    cache.begin([prefix])
    first = part(tx.tensor(x[:, :2]), cache=cache).numpy()
    rest = part(tx.tensor(x[:, 2:]), cache=cache.at(tx.tensor(np.array([2, 2])))).numpy()
    np.testing.assert_allclose(np.concatenate([first, rest], 1), truth, atol=1e-5)


def test_a_soft_prompt_takes_of_the_memory_and_a_prefix_does_not() -> None:
    soft, prefix = tuned_of("gpt", SoftPrompt), tuned_of("gpt", PrefixTuning)
    assert Decoder(soft).context == CONTEXT - LENGTH
    assert Decoder(prefix).context == CONTEXT
    for model in (soft, prefix):
        room = model.config.context
        decoder = Decoder(model)
        with pytest.raises(DataError, match=f"{room + 1} tokens, not 1 to {room}"):
            decoder.read([[1] * (room + 1)])
        found = decoder.read([[1, 2] * (room // 2) + [3] * (room % 2)])
        assert np.isfinite(found).all()
        with pytest.raises(IndexRangeError):
            decoder.step(np.array([[1]]))
    with pytest.raises(ShapeError, match="length 24 for a context of 24"):
        SoftPrompt(soft.remove(), CONTEXT)


@pytest.mark.parametrize("way", WAYS)
def test_what_was_saved_is_loaded_by_its_kind_and_writes_the_same(
    way: tuple[str, Any], tmp_path: Path
) -> None:
    model = tuned_of(*way)
    said = list(stream(model, [1, 2], 9, temperature=0))
    path = tmp_path / "own.safetensors"
    model.save(path)
    again = load_tuned(model.remove(), path)
    assert type(again) is way[1]
    assert again.length == LENGTH
    assert list(stream(again, [1, 2], 9, temperature=0)) == said


def test_files_that_are_of_no_prompt_or_of_a_longer_context_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    tuned_of("gpt", SoftPrompt, length=20).save(path)
    short = tx.models.GPT(tx.models.GPTConfig(VOCAB, 16, 2, 2, 16))
    with pytest.raises(ShapeError, match="length 20 for a context of 16"):
        load_tuned(short, path)
    narrow = tx.models.GPT(tx.models.GPTConfig(VOCAB, CONTEXT, 2, 2, 8))
    with pytest.raises(CheckpointError, match="and this model"):
        load_tuned(narrow, path)
    before = [p.requires_grad for p in narrow.parameters()]
    assert all(before)  # nothing is frozen by a file that was refused
    path.write_bytes(b"none")
    with pytest.raises(CheckpointError, match="damaged"):
        load_tuned(short, path)
    other = tmp_path / "other.safetensors"
    other.write_bytes(save({"x": np.zeros(3, np.float32)}, {"kind": "LoRA"}))
    with pytest.raises(CheckpointError, match="neither a soft prompt nor a prefix"):
        load_tuned(short, other)
