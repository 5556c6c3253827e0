"""Writing with kept keys and values is what the model says without them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_tx as tx
from tinygrad_tx.errors import DataError, IndexRangeError, NonFiniteError
from tinygrad_tx.models.beams import BeamSearch
from tinygrad_tx.models.generation import Decoder, beam_search, write_batch
from tinygrad_tx.models.sampling import Sampling

VOCAB, CONTEXT = 13, 24
some = settings(max_examples=8, deadline=None)


def model_of(kind: str, seed: int = 0) -> Any:
    """A small model with weights large enough that its texts are no constant."""
    if kind == "gpt":
        model: Any = tx.models.GPT(tx.models.GPTConfig(VOCAB, CONTEXT, 2, 2, 16), seed)
    else:
        config = tx.models.LlamaConfig(VOCAB, CONTEXT, 2, 4, 16, kv_heads=2, head_width=6)
        model = tx.models.Llama(config, seed)
    rng = np.random.default_rng(seed)
    model.load_state_dict(
        {
            k: v + rng.normal(0, 0.4, v.shape).astype(np.float32)
            for k, v in model.state_dict().items()
        }
    )
    return model.eval()


def alone(model: Any, text: list[int]) -> np.ndarray[Any, Any]:
    """Logits after the last token, without any cache."""
    return np.asarray(model(np.array([text])).numpy()[0, -1])


@some
@given(
    kind=st.sampled_from(["gpt", "llama"]),
    counts=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    steps=st.lists(st.integers(1, 3), max_size=4),
    seed=st.integers(0, 99),
)
def test_kept_keys_and_values_give_the_logits_of_the_whole_text(
    kind: str, counts: list[int], steps: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    model = model_of(kind)
    texts = [rng.integers(0, VOCAB, n).tolist() for n in counts]
    decoder = Decoder(model, len(texts))
    found = decoder.read(texts)
    for row, text in zip(found, texts, strict=True):
        np.testing.assert_allclose(row, alone(model, text), atol=1e-4, rtol=1e-4)
    for size in steps:
        new = rng.integers(0, VOCAB, (len(texts), size))
        logits = decoder.step(new)
        for i, text in enumerate(texts):
            for j in range(size):
                text.append(int(new[i, j]))
                np.testing.assert_allclose(logits[i, j], alone(model, text), atol=1e-4, rtol=1e-4)


def test_a_step_that_does_not_advance_is_forgotten() -> None:
    model = model_of("llama")
    decoder = Decoder(model)
    decoder.read([[1, 2, 3]])
    before = decoder.step(np.array([[4]]), advance=False)
    decoder.step(np.array([[5, 6]]), advance=False)
    np.testing.assert_array_equal(decoder.step(np.array([[4]])), before)


@pytest.mark.parametrize("kind", ["gpt", "llama"])
def test_the_likeliest_text_is_that_of_a_model_without_a_cache(kind: str) -> None:
    model = model_of(kind)
    text = [3, 1]
    found = list(model.generate(text, 20, temperature=0))
    for token in found:
        assert token == int(alone(model, text).argmax())
        text.append(token)
    assert len(set(found)) > 1


def test_nothing_is_recorded_again_as_the_text_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    model, calls = model_of("gpt"), []
    hidden = model.hidden

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        return hidden(*args, **kwargs)

    monkeypatch.setattr(model, "hidden", counted)
    assert len(list(model.generate([1], 20, seed=0))) == 20
    assert len(calls) == 2  # to read the prompt, and to go on


def test_a_text_longer_than_the_context_goes_on_from_its_last_half() -> None:
    model = model_of("gpt")
    text = [2]
    found = list(model.generate(text, 2 * CONTEXT, temperature=0))
    assert len(found) == 2 * CONTEXT
    text += found[:CONTEXT]
    half = text[-(CONTEXT // 2) :]
    assert found[CONTEXT] == int(alone(model, half).argmax())


def test_texts_of_a_batch_are_those_written_alone() -> None:
    model = model_of("llama")
    prompts = [[1], [5, 2, 8, 1, 9], [4, 4]]
    together = write_batch(model, prompts, 8, Sampling(temperature=0))
    for prompt, found in zip(prompts, together, strict=True):
        assert found == list(model.generate(prompt, 8, temperature=0))
    drawn = write_batch(model, prompts, 8, Sampling(), seed=3)
    assert drawn == write_batch(model, prompts, 8, Sampling(), seed=3)
    assert drawn != write_batch(model, prompts, 8, Sampling(), seed=4)


def test_a_stop_token_ends_its_text_alone() -> None:
    model = model_of("gpt")
    whole = write_batch(model, [[1], [2]], 12)
    stop = {whole[0][3]}
    found = write_batch(model, [[1], [2]], 12, stop=stop)
    for text, full in zip(found, whole, strict=True):
        end = next((i for i, t in enumerate(full) if t in stop), len(full))
        assert text == full[:end]


@settings(max_examples=20, deadline=None)
@given(
    temperature=st.floats(0.2, 3),
    top_k=st.none() | st.integers(1, 9),
    top_p=st.none() | st.floats(0.05, 1),
    penalty=st.sampled_from([1.0, 1.5]),
    seed=st.integers(0, 99),
)
def test_chances_are_those_that_the_papers_define(
    temperature: float, top_k: int | None, top_p: float | None, penalty: float, seed: int
) -> None:
    logits = np.random.default_rng(seed).normal(0, 2, 7).astype(np.float32)
    seen = [0, 3, 3]
    found = Sampling(temperature, top_k, top_p, penalty).chances(logits, seen)
    z = logits.astype(np.float64)
    for t in {0, 3}:
        z[t] = z[t] / penalty if z[t] > 0 else z[t] * penalty
    order = np.argsort(-z)[: top_k or 7]
    p = np.exp((z[order] - z.max()) / temperature)
    p /= p.sum()
    if top_p is not None:
        count = 1 + int((np.cumsum(p) < top_p).sum())
        order, p = order[:count], p[:count] / p[:count].sum()
    expected = np.zeros(7)
    expected[order] = p
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_tokens_are_drawn_with_their_chances() -> None:
    logits = np.array([0.0, 1.0, 2.0, -1.0], np.float32)
    sampling, rng = Sampling(top_k=3), np.random.default_rng(0)
    counts = np.bincount([sampling.draw(logits, [], rng) for _ in range(4000)], minlength=4)
    np.testing.assert_allclose(counts / 4000, sampling.chances(logits, []), atol=0.03)


def test_beams_that_hold_everything_find_the_likeliest_text() -> None:
    """Against every text of four tokens over a vocabulary of three."""
    rng = np.random.default_rng(1)
    table = rng.normal(size=(4, 3))  # logits after each token, and after the prompt

    def logarithms(row: Any) -> Any:
        return row - np.log(np.exp(row).sum())

    search = BeamSearch(27, (), 0.0)
    _, tokens = search.begin(table[3])
    for _ in range(3):
        _, tokens = search.advance(table[tokens])
    scores = {}
    for text in itertools.product(range(3), repeat=4):
        before = (3, *text)
        scores[text] = sum(logarithms(table[a])[b] for a, b in itertools.pairwise(before))
    assert tuple(search.best()) == max(scores, key=lambda t: scores[t])


def test_more_beams_find_nothing_less_likely() -> None:
    model = model_of("gpt")

    def chance(text: list[int]) -> float:
        logits = model(np.array([[1, *text]])).numpy()[0, : len(text)].astype(np.float64)
        logits -= logits.max(-1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
        return float(sum(logits[i, t] for i, t in enumerate(text)))

    greedy = list(model.generate([1], 8, temperature=0))
    best = beam_search(model, [1], 8, 6, length_penalty=0.0)
    assert len(best) == 8
    assert chance(best) >= chance(greedy) - 1e-4


def test_bad_input_is_told() -> None:
    model = model_of("gpt")
    with pytest.raises(DataError, match="prompt is empty"):
        model.generate([], 3)
    with pytest.raises(IndexRangeError, match="99"):
        list(model.generate([99], 3))
    with pytest.raises(ValueError, match="top_p 0"):
        model.generate([1], 3, top_p=0.0)
    with pytest.raises(DataError, match="0 tokens"):
        write_batch(model, [[1], []], 3)
    with pytest.raises(NonFiniteError, match="NaN"):
        Sampling().draw(np.array([np.nan, 1.0]), [], np.random.default_rng(0))


@pytest.mark.parametrize("form", ["transformer", "t5", "t5.1.1"])
def test_an_encoder_decoder_writes_what_it_says_without_a_cache(form: str) -> None:
    config = tx.models.EncoderDecoderConfig(
        VOCAB, CONTEXT, 1, 2, 2, 16, form=form, buckets=8, farthest=6
    )
    model: Any = tx.models.EncoderDecoder(config)
    rng = np.random.default_rng(5)
    model.load_state_dict(
        {
            k: v + rng.normal(0, 0.5, v.shape).astype(np.float32)
            for k, v in model.state_dict().items()
        }
    )
    model.eval()
    sources = [[3, 1, 4, 1, 5], [9, 2], [6]]
    together = model.generate_batch(sources, 10)
    for source, found in zip(sources, together, strict=True):
        text = [0]
        for token in found:
            logits = model(np.array([source]), np.array([text])).numpy()[0, -1]
            assert token == int(logits.argmax())
            text.append(token)
        assert found == list(model.generate(source, 10, temperature=0))
        best = list(model.generate(source, 10, beams=3))
        assert len(best) == 10
    with pytest.raises(DataError, match="source is empty"):
        model.generate([], 3)
