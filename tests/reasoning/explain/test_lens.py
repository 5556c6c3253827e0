"""Lenses: the last layer says what the model says; the rest is the head's formula, and learnt."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tests.reasoning.explain.planted_induction import planted
from tests.reasoning.explain.small_models import MODELS, TOKENS, VOCAB, bert, gpt, llama, run
from tinygrad_tx import reasoning
from tinygrad_tx.errors import DataError, IndexRangeError, NonFiniteError, PointError, ShapeError

every_model = pytest.mark.parametrize("kind", MODELS)


def softmax(x: Any) -> Any:
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


@every_model
def test_the_last_layer_says_what_the_model_says(kind: str) -> None:
    make, inputs = MODELS[kind]
    model = make()
    lens = reasoning.logit_lens(model, inputs, keep_logits=True)
    assert lens.logits is not None
    wanted = run(model, inputs)
    np.testing.assert_allclose(lens.logits[-1], wanted, atol=2e-6)
    np.testing.assert_allclose(lens.divergence[-1], 0, atol=1e-9)
    assert (lens.rank[-1] == 1).all()
    assert lens.tokens.shape == wanted.shape[:2]


def test_each_layer_of_gpt_is_the_final_norm_and_the_embedding() -> None:
    model = gpt()
    w = {k: v.astype(np.float64) for k, v in model.state_dict().items()}
    lens = reasoning.logit_lens(model, TOKENS, keep_logits=True, parts=True)
    assert lens.layers == (
        "embedding", "block 0 attention", "block 0", "block 1 attention", "block 1",
    )  # fmt: skip
    found = reasoning.capture(model, TOKENS, lens.paths).numpy()
    assert lens.logits is not None
    for path, logits in zip(lens.paths, lens.logits, strict=True):
        h = found[path].astype(np.float64)
        h = (h - h.mean(-1, keepdims=True)) / np.sqrt(h.var(-1, keepdims=True) + 1e-5)
        wanted = (h * w["norm.weight"] + w["norm.bias"]) @ w["embedding.weight"].T
        np.testing.assert_allclose(logits, wanted, atol=2e-6)


def test_bert_is_read_through_the_masked_word_head() -> None:
    model = bert()
    lens = reasoning.logit_lens(model, TOKENS, keep_logits=True)
    found = reasoning.capture(model, TOKENS, lens.paths)
    assert lens.logits is not None
    for path, logits in zip(lens.paths, lens.logits, strict=True):
        np.testing.assert_allclose(logits, model.words_at(found[path]).numpy(), atol=2e-6)


def test_figures_are_those_of_the_logits() -> None:
    model = llama()
    lens = reasoning.logit_lens(model, TOKENS, token=4, words=3, keep_logits=True)
    assert lens.logits is not None
    p = softmax(lens.logits.astype(np.float64))
    order = np.argsort(-p, -1)
    np.testing.assert_array_equal(lens.top_tokens, order[..., :3])
    np.testing.assert_allclose(
        lens.top_probabilities, np.take_along_axis(p, order[..., :3], -1), rtol=1e-9
    )
    np.testing.assert_allclose(lens.entropy, -(p * np.log(p)).sum(-1), rtol=1e-9)
    kl = (p[-1] * (np.log(p[-1]) - np.log(p))).sum(-1)
    np.testing.assert_allclose(lens.divergence, kl, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(lens.probability, p[..., 4], rtol=1e-9)
    np.testing.assert_array_equal(lens.rank, (p > p[..., 4:5]).sum(-1) + 1)


def test_the_planted_answer_appears_where_the_induction_head_writes_it() -> None:
    tokens = np.array([[3, 5, 1, 6, 3]])
    lens = reasoning.logit_lens(planted(), tokens, token=5)
    assert lens.rank[:, 0, -1].tolist()[-1] == 1
    assert lens.rank[1, 0, -1] > 1
    assert lens.probability[2, 0, -1] > 3 * lens.probability[1, 0, -1]


def test_one_token_and_one_example_do() -> None:
    lens = reasoning.logit_lens(gpt(layers=1, heads=1), np.array([[3]]))
    assert lens.entropy.shape == (2, 1, 1)


def test_looking_leaves_a_training_model_training_and_sees_no_dropout() -> None:
    model = gpt(dropout=0.5).train()
    first = reasoning.logit_lens(model, TOKENS).entropy
    np.testing.assert_array_equal(first, reasoning.logit_lens(model, TOKENS).entropy)
    assert all(m.training for _, m in model.named_modules())


def test_progress_is_told_layer_by_layer() -> None:
    told: list[tuple[int, int]] = []
    reasoning.logit_lens(gpt(), TOKENS, on_progress=lambda *at: told.append(at))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_bad_input_is_explained() -> None:
    model = gpt()
    with pytest.raises(IndexRangeError, match="within the 29"):
        reasoning.logit_lens(model, TOKENS, token=29)
    with pytest.raises(ShapeError, match="do not fit"):
        reasoning.logit_lens(model, TOKENS, token=[1, 2])
    with pytest.raises(PointError, match="no residual stream"):
        reasoning.logit_lens(lambda t: model.embedding(t), TOKENS)
    with pytest.raises(ShapeError, match="a lens needs logits"):
        reasoning.logit_lens(
            tx.models.BERTClassifier(tx.models.BERTConfig(VOCAB, 16, 1, 2, 8), 3), TOKENS
        )
    weight = model.blocks[0].feed_forward.down.weight
    weight.assign_(np.full(weight.shape, np.nan, np.float32))
    with pytest.raises(NonFiniteError, match="logits are not finite, first at"):
        reasoning.logit_lens(model, TOKENS)


class Chinese:
    def decode(self, tokens: Any) -> str:
        return "注意力机制" if tokens[0] % 2 else " the$"


def test_table_and_picture_speak_both_languages() -> None:
    lens = reasoning.logit_lens(gpt(), TOKENS, tokenizer=Chinese())
    text = lens.table().text()
    assert "注意力机制" in text
    assert "␣the$" in text
    for of in ("probability", "entropy", "divergence"):
        svg = reasoning.picture_bytes(lens.picture(of=of)).decode()
        assert "注意力机制" in svg
        assert "block 1" in svg
    assert reasoning.picture_bytes(lens.picture(), "png").startswith(b"\x89PNG")
    assert reasoning.picture_bytes(lens.picture()) == reasoning.picture_bytes(lens.picture())
    with pytest.raises(ValueError, match="not one of"):
        lens.picture(of="loss")


# The tuned lens.


@pytest.fixture(scope="module")
def tuned() -> tuple[Any, reasoning.TunedLens, Any]:
    model, rng = gpt(), np.random.default_rng(3)
    held = rng.integers(0, VOCAB, (12, 10))
    lens = reasoning.train_tuned_lens(
        model, rng.integers(0, VOCAB, (64, 10)), held, steps=120, rate=1e-2
    )
    return model, lens, held


def test_the_tuned_lens_is_closer_on_text_that_it_has_not_seen(tuned: Any) -> None:
    report = tuned[1].tuning
    assert report.layers == ("embedding", "block 0")
    for plain, learnt in zip(report.logit_lens, report.tuned_lens, strict=True):
        assert learnt.high < plain.low
        assert learnt.value < 0.3 * plain.value
    assert report.table().rows[0][0] == "embedding"
    assert "tuned lens" in reasoning.picture_bytes(report.picture()).decode()


def test_what_it_reports_is_what_the_lens_shows(tuned: Any) -> None:
    model, lens, held = tuned
    for translator, figures in ((None, lens.tuning.logit_lens), (lens, lens.tuning.tuned_lens)):
        shown = reasoning.logit_lens(model, held, translator=translator)
        for layer, figure in enumerate(figures):
            assert shown.divergence[layer].mean() == pytest.approx(figure.value, rel=1e-4)
        np.testing.assert_allclose(shown.divergence[-1], 0, atol=1e-9)


def test_an_untrained_translator_is_the_logit_lens() -> None:
    model = gpt()
    plain = reasoning.logit_lens(model, TOKENS)
    lens = reasoning.TunedLens(plain.paths[:-1], 8)
    through = reasoning.logit_lens(model, TOKENS, translator=lens)
    np.testing.assert_allclose(through.divergence, plain.divergence, atol=1e-9)


def test_training_leaves_the_model_as_it_was(tuned: Any) -> None:
    for name, value in gpt().state_dict().items():
        np.testing.assert_array_equal(tuned[0].state_dict()[name], value)
    assert all(p.grad is None for p in tuned[0].parameters())


def test_a_lens_is_kept_by_its_state(tuned: Any) -> None:
    _, lens, held = tuned
    again = reasoning.TunedLens(lens.paths, 8)
    again.load_state_dict(lens.state_dict())
    h = np.random.default_rng(0).normal(size=(1, 2, 8)).astype(np.float32)
    for path in lens.paths:
        np.testing.assert_array_equal(again.translated(path, h), lens.translated(path, h))


def test_text_that_cannot_be_learnt_from_is_refused() -> None:
    model = gpt()
    with pytest.raises(DataError, match="held-out sequences are learnt from"):
        reasoning.train_tuned_lens(model, TOKENS, TOKENS[:1])
    with pytest.raises(DataError, match="0 held out"):
        reasoning.train_tuned_lens(model, TOKENS, TOKENS[:0])
    with pytest.raises(DataError, match="bytes of 1,000"):
        reasoning.train_tuned_lens(model, TOKENS, TOKENS[:, ::-1].copy(), memory=1000)
    lens = reasoning.TunedLens(["blocks.0.residual_before"], 8)
    with pytest.raises(PointError, match="no translator"):
        reasoning.logit_lens(model, TOKENS, translator=lens, parts=True)
