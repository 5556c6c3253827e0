"""Scores against log-softmax sums in NumPy, one row at a time and in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.data import BPETokenizer, ByteTokenizer, CharacterUnits
from tinygrad_tx.data.units import CLS, MASK, SEP
from tinygrad_tx.errors import DataError
from tinygrad_tx.prompt import Template, Verbalizer, calibrate, complete, score, word_scores

TEMPLATE = Template("{text:cut} it was {mask}.")
ONE = Verbalizer({"up": ["a", "b"], "down": ["c"]})
LONG = Verbalizer({"up": ["good", "a"], "down": ["terrible"]})
EXAMPLES = [{"text": t} for t in ("one", "another longer text", "xyz", "q")]


def lively(model: Any) -> Any:
    """With weights large enough that texts matter."""
    rng = np.random.default_rng(0)
    for p in model.parameters():
        p.assign_(p.numpy() + rng.normal(0, 0.15, p.shape).astype(np.float32))
    return model.eval()


def causal(kind: str = "gpt") -> Any:
    if kind == "gpt":
        return lively(tx.models.GPT(tx.models.GPTConfig(256, 64, 2, 2, 16)))
    return lively(tx.models.Llama(tx.models.LlamaConfig(256, 64, 2, 2, 16, kv_heads=1)))


def log_softmax(logits: Any) -> Any:
    x = np.asarray(logits, np.float64)
    return x - np.log(np.exp(x - x.max()).sum()) - x.max()


def expected(model: Any, lead: bytes, word: bytes) -> float:
    """log P(word | lead), a byte at a time."""
    total = 0.0
    for i, byte in enumerate(word):
        logits = model(np.array([[*lead, *word[:i]]])).numpy()[0, -1]
        total += log_softmax(logits)[byte]
    return total


@pytest.mark.parametrize("kind", ["gpt", "llama"])
@pytest.mark.parametrize("verbalizer", [ONE, LONG], ids=["one token", "many"])
def test_words_have_the_sums_of_their_tokens_log_probabilities(
    kind: str, verbalizer: Verbalizer
) -> None:
    model = causal(kind)
    found = word_scores(model, ByteTokenizer(), Template("{text}:{mask}"), verbalizer, EXAMPLES)
    for row, example in zip(found, EXAMPLES, strict=True):
        for value, word in zip(row, verbalizer.flat, strict=True):
            truth = expected(model, f"{example['text']}:".encode(), word.encode())
            assert value == pytest.approx(truth, abs=2e-5)


def test_demonstrations_stand_before_in_the_order_of_the_seed() -> None:
    model, units = causal(), ByteTokenizer()
    shown = [({"text": "u"}, "up"), ({"text": "v"}, "down"), ({"text": "w"}, "up")]
    template = Template("{text}:{mask};")
    options = {"separator": "|"}
    given = score(model, units, template, ONE, EXAMPLES[:1], shown, **options)
    truth = [expected(model, b"u:a;|v:c;|w:a;|one:", w.encode()) for w in ONE.flat]
    np.testing.assert_allclose(given[0], ONE.probabilities(np.array(truth)), atol=1e-5)
    seeds = [score(model, units, template, ONE, EXAMPLES, shown, seed=s, **options) for s in (1, 1)]
    np.testing.assert_array_equal(*seeds)
    orders = {
        score(model, units, template, ONE, EXAMPLES, shown, seed=s, **options).tobytes()
        for s in range(12)
    }
    assert 3 <= len(orders) <= 6  # of the six that there are
    order = np.random.default_rng(3).permutation(3)
    np.testing.assert_array_equal(
        score(model, units, template, ONE, EXAMPLES, shown, seed=3, **options),
        score(model, units, template, ONE, EXAMPLES, [shown[i] for i in order], **options),
    )


def test_calibrated_probabilities_of_the_content_free_input_are_uniform() -> None:
    model, units = causal(), ByteTokenizer()
    empty = {"text": "N/A"}
    options = {"content_free": [empty]}
    plain = score(model, units, TEMPLATE, LONG, [empty])
    assert abs(plain - 0.5).max() > 0.05  # it leans somewhere
    found = score(model, units, TEMPLATE, LONG, [empty, *EXAMPLES], **options)
    np.testing.assert_allclose(found[0], 0.5, atol=1e-12)
    raw = score(model, units, TEMPLATE, LONG, EXAMPLES)
    ratios = found[1:, 0] / found[1:, 1]  # the odds, divided by those of the empty input
    np.testing.assert_allclose(ratios, raw[:, 0] / raw[:, 1] * plain[0, 1] / plain[0, 0], rtol=1e-6)


def test_calibration_takes_the_mean_of_several_inputs() -> None:
    found = calibrate(np.array([[0.6, 0.4]]), np.array([[0.5, 0.5], [0.9, 0.1]]))
    weights = np.array([0.6 / 0.7, 0.4 / 0.3])
    np.testing.assert_allclose(found[0], weights / weights.sum())


def test_a_masked_model_is_asked_in_the_place_of_its_mask() -> None:
    units = CharacterUnits("abcdefghijklmnopqrstuvwxyz.:")
    model = lively(tx.models.BERT(tx.models.BERTConfig(units.vocab_size, 32, 2, 2, 16)))
    template = Template("{text:cut} is {mask} or so.")
    found = score(model, units, template, ONE, EXAMPLES)
    for row, example in zip(found, EXAMPLES, strict=True):
        lead = units.encode(f"{example['text']} is")
        whole = [CLS, *lead, MASK, *units.encode(" or so."), SEP]
        logits = log_softmax(model(np.array([whole])).numpy()[0, 1 + len(lead)])
        truth = np.array([logits[units.encode(w)[0]] for w in ONE.flat])
        np.testing.assert_allclose(row, ONE.probabilities(truth), atol=1e-5)
    with pytest.raises(DataError, match="single tokens"):
        score(model, units, template, LONG, EXAMPLES)
    with pytest.raises(DataError, match="demonstrations"):
        score(model, units, template, ONE, EXAMPLES, [({"text": "x"}, "up")])


def test_texts_too_long_are_cut_or_refused() -> None:
    model, units = causal(), ByteTokenizer()
    long = [{"text": "x" * 200}]
    kept = "x" * (64 - len(" it was a."))
    np.testing.assert_allclose(
        score(model, units, TEMPLATE, ONE, long),
        score(model, units, TEMPLATE, ONE, [{"text": kept}]),
        atol=1e-6,
    )
    with pytest.raises(DataError, match="cut"):
        score(model, units, Template("{text} it was {mask}."), ONE, long)
    shown = [({"text": "x" * 60}, "up")]
    with pytest.raises(DataError, match="show fewer"):
        score(model, units, TEMPLATE, ONE, EXAMPLES, shown)
    with pytest.raises(DataError, match="before the answer"):
        score(model, units, Template("{mask}{text}"), ONE, EXAMPLES)


def test_answers_in_free_text_are_the_models_own_likeliest_tokens() -> None:
    units = BPETokenizer.train("what is it? it is so. " * 40, 280)
    model = lively(tx.models.GPT(tx.models.GPTConfig(units.vocab_size, 64, 1, 2, 16)))
    template = Template("{question}\nAnswer: {mask} (end)")
    lead = units.encode("what is it?\nAnswer:").tolist()
    said = complete(model, units, template, {"question": "what is it?"}, 8, stop="")
    assert said == units.decode(list(model.generate(lead, 8, temperature=0))).strip()
    stop = said[len(said) // 2]
    cut = complete(model, units, template, {"question": "what is it?"}, 8, stop=stop)
    assert cut == said.partition(stop)[0].strip()
    with pytest.raises(DataError, match="no room"):
        complete(model, units, template, {"question": "?"}, 64)
