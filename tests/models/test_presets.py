"""Published models by name: their counts are those that the papers and folders give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.errors import GraphError, IndexRangeError, ShapeError
from tinygrad_tx.models.presets import PRESETS

# From the published weights, counted once; GPT-3 and MT-NLG from their papers.
EXACT = {
    "gpt2": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
    "bert-base": 110_106_428,  # with both heads of pretraining
    "bert-large": 336_226_108,
    "t5-small": 60_506_624,
    "t5-base": 222_903_552,
    "t5-large": 737_668_096,
    "t5-3b": 2_851_598_336,
    "t5-11b": 11_307_321_344,
    "llama-7b": 6_738_415_616,
    "llama-13b": 13_015_864_320,
    "llama-65b": 65_285_660_672,
    "llama2-70b": 68_976_648_192,
    "llama3-8b": 8_030_261_248,
    "llama3-70b": 70_553_706_496,
    "smollm2-135m": 134_515_008,
}
ROUNDED = {
    "gpt3-125m": 125e6,
    "gpt3-350m": 356e6,
    "gpt3-6.7b": 6.7e9,
    "gpt3-175b": 175e9,
    "mt-nlg-530b": 530e9,
    "transformer-base": 65e6,
    "transformer-big": 213e6,
}


def test_every_preset_has_a_published_count() -> None:
    assert EXACT.keys() | ROUNDED.keys() == PRESETS.keys()


@pytest.mark.parametrize("name", EXACT)
def test_parameters_are_those_of_the_published_weights(name: str) -> None:
    assert tx.models.abstract(name).num_parameters() == EXACT[name]


@pytest.mark.parametrize("name", ROUNDED)
def test_parameters_are_those_of_the_paper(name: str) -> None:
    assert tx.models.abstract(name).num_parameters() == pytest.approx(ROUNDED[name], rel=0.035)


@pytest.mark.parametrize("name", ["gpt3-175b", "mt-nlg-530b"])
def test_work_is_that_of_the_published_formula(name: str) -> None:
    """Narayanan et al. 2021, equation 3, without its backward pass: 24 B l s h^2 (1 + s / 6h) and
    the logits 2 B s h V. Attention is counted for the keys that a token sees: half of them."""
    config: Any = tx.models.preset(name)
    layers, time_, width, vocab = config.layers, config.context, config.width, config.vocab_size
    expected = 24 * layers * time_ * width**2 * (1 + time_ / (12 * width))
    expected += 2 * time_ * width * vocab
    note = tx.draw(tx.models.abstract(name), overlay="flops").picture.note
    parameters, memory, work = note.split(", ")
    assert float(work.split(" ")[0]) * 1e12 * (1000 if "PFLOP" in work else 1) == pytest.approx(
        expected, rel=0.005
    )
    count = tx.models.abstract(name).num_parameters()
    assert float(parameters.split(" ")[0]) * 1e9 == pytest.approx(count, rel=0.005)
    assert float(memory.split(" ")[0]) * (1e12 if "TB" in memory else 1e9) == pytest.approx(
        4 * count, rel=0.005
    )


def test_the_largest_is_drawn_by_shape_alone() -> None:
    model = tx.models.abstract("mt-nlg-530b")
    picture = tx.draw(model).picture
    assert picture.title == "mt-nlg-530b"
    assert "Block  × 105" in picture.frames.values()


def test_an_abstract_model_has_no_values_until_they_are_loaded() -> None:
    config = tx.models.GPTConfig(17, 8, 1, 2, 16)
    model, real = tx.models.abstract(config), tx.models.build(config)
    tokens = np.zeros((1, 8), np.int64)
    with pytest.raises(GraphError, match="abstract"):
        model(tokens).numpy()
    with pytest.raises(GraphError, match="abstract"):
        model.state_dict()
    assert tx.jit(model.__call__).plan(tokens).flops > 0
    model.load_state_dict(real.state_dict())
    np.testing.assert_array_equal(model(tokens).numpy(), real.eval()(tokens).numpy())


def test_names_that_are_not_known_bring_near_ones() -> None:
    with pytest.raises(ValueError, match="llama-13b"):
        tx.models.preset("lama-13b")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: tx.models.GPTConfig(0), "vocab_size is 0"),
        (lambda: tx.models.BERTConfig(9, width=10, heads=4), "width 10 is not a multiple"),
        (lambda: tx.models.LlamaConfig(9, heads=4, kv_heads=3), "kv_heads 3"),
        (lambda: tx.models.EncoderDecoderConfig(9, form="t6"), "t6"),
        (lambda: tx.models.GPTConfig(9, dropout=1.0), "dropout is 1.0"),
    ],
)
def test_sizes_that_do_not_fit_are_named(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("token", [-1, 9, 1 << 40])
@pytest.mark.parametrize("captured", [False, True])
def test_a_token_outside_the_vocabulary_is_named(token: int, captured: bool) -> None:
    model = tx.models.GPT(tx.models.GPTConfig(9, 8, 1, 2, 16))
    call = tx.jit(lambda tokens: model(tokens)) if captured else model
    with pytest.raises(IndexRangeError, match=str(token)):
        call(np.array([[1, token, 2]])).numpy()


def test_tokens_that_do_not_fit_are_named() -> None:
    model = tx.models.BERT(tx.models.BERTConfig(9, 8, 1, 2, 16))
    for tokens, words in (
        (np.zeros((1, 9), np.int64), "9 tokens, not 1 to 8"),
        (np.zeros(4, np.int64), "tokens.None."),
        (np.zeros((1, 4), np.float32), "whole numbers"),
        (np.zeros((1, 0), np.int64), "0 tokens"),
    ):
        with pytest.raises((ShapeError, TypeError), match=words):
            model(tokens)


def test_a_text_that_is_all_padding_gives_numbers_and_gradients() -> None:
    model = tx.models.BERT(tx.models.BERTConfig(9, 8, 2, 2, 16)).eval()
    tokens = np.ones((2, 4), np.int64)
    mask = np.array([[True] * 4, [False] * 4])
    loss = model.loss(tokens, tokens, np.array([0, 1]), mask=mask)
    loss.backward()
    assert np.isfinite(loss.item())
    assert all(np.isfinite(p.grad.numpy()).all() for p in model.parameters() if p.grad is not None)
    alone = model(tokens[:1]).numpy()
    np.testing.assert_allclose(model(tokens, mask=mask).numpy()[0], alone[0], atol=1e-5)


def test_a_config_of_no_family_is_an_error_that_lists_them() -> None:
    with pytest.raises(TypeError, match=r"build: FTTransformerConfig .*GPTConfig.*LlamaConfig"):
        tx.models.build(tx.models.FTTransformerConfig(3, 2))
