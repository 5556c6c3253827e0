"""Target, words and the stream: which number, how it is written, and what leads to it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

import tinygrad_tx as tx
from tests.reasoning.explain.small_models import MODELS, gpt, run
from tinygrad_tx import reasoning
from tinygrad_tx.errors import IndexRangeError, PointError, ShapeError
from tinygrad_tx.reasoning import Target
from tinygrad_tx.reasoning.explain.stream import arrays_of, at_rest, head_of, listed, stream_of
from tinygrad_tx.reasoning.explain.words import word_of, words_of

OUTPUT = np.random.default_rng(0).normal(size=(3, 4, 6)).astype(np.float32)


def measured(target: Target, output: Any) -> Any:
    resolved = target.resolved(output)
    given = [t for t in (resolved.token, resolved.against) if t is not None]
    return resolved.measure(tx.tensor(output), *(tx.tensor(np.array(t)) for t in given)).numpy()


def test_a_target_is_the_number_that_it_names() -> None:
    x = OUTPUT.astype(np.float64)
    log = x - np.log(np.exp(x).sum(-1, keepdims=True))
    rows = np.arange(3)
    np.testing.assert_allclose(measured(Target(2), OUTPUT), x[:, -1, 2], atol=1e-6)
    np.testing.assert_allclose(
        measured(Target(2, 4, 1), OUTPUT), x[:, 1, 2] - x[:, 1, 4], atol=1e-6
    )
    np.testing.assert_allclose(measured(Target((0, 5, 2)), OUTPUT), x[rows, -1, [0, 5, 2]])
    np.testing.assert_allclose(measured(Target(), OUTPUT), x[:, -1].max(-1))
    found = measured(Target(2, of="log_probability"), OUTPUT)
    np.testing.assert_allclose(found, log[:, -1, 2], atol=1e-6)
    # A difference is the same of both.
    np.testing.assert_allclose(
        measured(Target(2, 4, of="log_probability"), OUTPUT),
        measured(Target(2, 4), OUTPUT), atol=1e-6,
    )  # fmt: skip
    np.testing.assert_allclose(measured(Target(2), OUTPUT[:, 0]), x[:, 0, 2])
    assert measured(Target(), OUTPUT[:1, :1, :1]).shape == (1,)


def test_targets_that_are_not_there_are_refused() -> None:
    with pytest.raises(IndexRangeError, match="vocabulary of 6"):
        Target(6).resolved(OUTPUT)
    with pytest.raises(IndexRangeError, match="vocabulary of 6"):
        Target(0, -1).resolved(OUTPUT)
    with pytest.raises(IndexRangeError, match="position 4 is not within the 4"):
        Target(position=4).resolved(OUTPUT)
    with pytest.raises(ShapeError, match="2 tokens for 3 examples"):
        Target((1, 2)).resolved(OUTPUT)
    with pytest.raises(ShapeError, match="the output has shape"):
        Target().resolved(OUTPUT[0, 0])
    with pytest.raises(ValueError, match="not logit or log_probability"):
        Target(of="loss")


class Letters:
    def decode(self, tokens: Any) -> str:
        return {0: " ", 1: " a b", 2: "\n", 3: "\N{REPLACEMENT CHARACTER}", 4: ""}[tokens[0]]


def test_spaces_are_seen_and_halves_of_characters_are_numbers() -> None:
    assert words_of([0, 1, 2, 3, 4], Letters()) == ("␣", "␣a b", "↵", "#3", "#4")
    assert word_of(np.int64(7), None) == "7"
    assert words_of(np.array([], np.int64), None) == ()
    assert Target((1, 2), 0).words(1, Letters()) == "logit of '↵' less '␣'"


@given(st.text(max_size=12))
def test_a_word_keeps_its_width_and_has_no_line_ends(text: str) -> None:
    class Says:
        def decode(self, tokens: Any) -> str:
            return text

    word = word_of(5, Says())
    assert word
    assert not set(word) & set("\n\t\r")
    assert not word.startswith(" ")
    assert not word.endswith(" ")


@pytest.mark.parametrize("kind", MODELS)
def test_the_head_behind_the_stream_gives_the_output(kind: str) -> None:
    make, inputs = MODELS[kind]
    model, arrays = make(), arrays_of(inputs)
    stream = stream_of(listed(model, arrays))
    residual = reasoning.capture(model, arrays, stream.last)[stream.last].numpy()
    found = head_of(model, stream.last)(residual, *arrays).numpy()
    np.testing.assert_allclose(found, run(model, inputs), atol=2e-6)
    assert stream.name(stream.residuals[0]) == "embedding"
    assert stream.name(stream.last) == "block 1"
    np.testing.assert_array_equal(stream.tokens(arrays), arrays[-1])


def test_one_block_and_one_token_have_a_stream() -> None:
    model = gpt(layers=1, heads=1)
    stream = stream_of(listed(model, arrays_of(np.array([[1]]))))
    assert [stream.name(p) for p in stream.residuals] == [
        "embedding",
        "block 0 attention",
        "block 0",
    ]
    assert len(stream.blocks()) == 2


def test_a_model_without_blocks_has_none_and_a_model_rests_only_for_a_while() -> None:
    with pytest.raises(PointError, match="no residual stream"):
        stream_of({})
    model = gpt(dropout=0.5).train()
    with at_rest(model):
        assert not any(m.training for _, m in model.named_modules())
    with pytest.raises(PointError), at_rest(model):
        stream_of({})
    assert all(m.training for _, m in model.named_modules())
