"""A changed model writes with a cache what it would write reading the whole text each time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx import reasoning
from tinygrad_tx.errors import GraphError, IndexRangeError, PointError
from tinygrad_tx.models.conditioned import Conditioned

M = tx.models
RNG = np.random.default_rng(0)
VECTOR = RNG.normal(size=16).astype(np.float32)


def lively(model: Any) -> Any:
    for p in model.parameters():
        p.assign_(p.numpy() + RNG.normal(0, 0.2, p.shape).astype(np.float32))
    return model.eval()


MODELS = {
    "gpt": lively(M.GPT(M.GPTConfig(29, 32, 2, 4, 16))),
    "llama": lively(M.Llama(M.LlamaConfig(29, 32, 2, 4, 16, kv_heads=2))),
}
CHANGES = {
    "a vector": {"blocks.1.residual_before": reasoning.add(3 * VECTOR)},
    "some positions": {"blocks.1.residual_before": reasoning.add(5 * VECTOR, positions=[2, 6])},
    "a head": {"blocks.0.attention.context": reasoning.zero(heads=1)},
    "a pattern": {"blocks.*.attention.pattern": lambda x: x * x},
    "kept keys": {"blocks.0.attention.key": reasoning.scale(-2.0)},
    "logits": {"logits": reasoning.add(2.0, units=[3, 4])},
    "both halves": {"norm.normalized": lambda x: x * 2, "blocks.1.feed_forward.hidden": 0.1},
}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("change", CHANGES)
def test_with_a_cache_as_without(kind: str, change: str) -> None:
    model = reasoning.Changed(MODELS[kind], CHANGES[change])
    text = [3, 1, 4]
    written = list(model.generate(text, 10, temperature=0))
    for count in range(10):
        # Positions that are still to come are no error for a text that is being written.
        whole = np.array([text + written[:count]])
        logits = reference(MODELS[kind], CHANGES[change], whole)
        assert int(logits.argmax()) == written[count]


def reference(model: Any, changes: Any, tokens: Any) -> Any:
    """The changes made by hand: positions beyond the text left out."""
    kept = {}
    for path, given in changes.items():
        positions = getattr(getattr(given, "where", None), "positions", None)
        if positions is not None:
            inside = [p for p in positions if p < tokens.shape[1]]
            if not inside:
                continue
            given = reasoning.add(given.shift, positions=inside)
        kept[path] = given
    return reasoning.intervene(model, tokens, kept).numpy()[0, -1]


def test_each_text_of_a_batch_counts_its_own_positions() -> None:
    changes = {"blocks.1.residual_before": reasoning.add(5 * VECTOR, positions=[4])}
    model = reasoning.Changed(MODELS["gpt"], changes)
    prompts = [[3, 1, 4, 1, 5, 9], [2, 7]]
    together = M.write_batch(model, prompts, 6)
    alone = [list(model.generate(p, 6, temperature=0)) for p in prompts]
    assert together == alone
    assert together != M.write_batch(MODELS["gpt"], prompts, 6)


def test_the_model_itself_stays_as_it_was() -> None:
    model = MODELS["gpt"]
    before = list(model.generate([1, 2], 6, temperature=0))
    list(reasoning.Changed(model, CHANGES["a vector"]).generate([1, 2], 6, temperature=0))
    assert list(model.generate([1, 2], 6, temperature=0)) == before


def test_the_decoder_of_an_encoder_decoder_can_be_changed_too() -> None:
    model = lively(M.EncoderDecoder(M.EncoderDecoderConfig(29, 16, 1, 2, 4, 16)))
    path = "decoder.blocks.0.cross_attention.output"
    changed = reasoning.Changed(Conditioned(model, [[5, 6, 7]]), {path: 0.0})
    written = list(M.generation.stream(changed, [0], 6, temperature=0))
    source = np.array([[5, 6, 7]])
    for count in range(6):
        target = np.array([[0, *written[:count]]])
        logits = reasoning.intervene(model, (source, target), {path: 0.0}).numpy()[0, -1]
        assert int(logits.argmax()) == written[count]


def test_a_name_without_a_point_is_refused_before_anything_is_written() -> None:
    with pytest.raises(PointError, match="residual_after"):
        reasoning.Changed(MODELS["gpt"], {"blocks.0.residual_after_attention_": 0.0})


def test_a_position_from_the_end_of_a_text_that_has_none_is_refused() -> None:
    model = reasoning.Changed(MODELS["gpt"], {"logits": reasoning.zero(positions=-1)})
    assert model(np.array([[1, 2, 3]])).shape == (1, 3, 29)
    changes = {"blocks.0.residual_before": reasoning.zero(positions=-1)}
    with pytest.raises(IndexRangeError, match="count from 0"):
        list(reasoning.Changed(MODELS["gpt"], changes).generate([1], 2))


def test_positions_of_the_output_head_are_refused_while_writing() -> None:
    model = reasoning.Changed(MODELS["gpt"], {"log*": reasoning.zero(positions=2)})
    assert not model(np.array([[1, 2, 3]])).numpy()[0, 2].any()
    with pytest.raises(GraphError, match="not known while a text is written"):
        list(model.generate([1], 2))


def test_a_changed_model_can_be_changed_again() -> None:
    point, text = "blocks.1.residual_before", np.array([[3, 1, 4, 1]])
    first = {point: reasoning.scale(2.0), "blocks.*.residual_before": lambda x: x * x}
    twice = reasoning.Changed(
        reasoning.Changed(MODELS["gpt"], first), {point: lambda x: x + VECTOR}
    )
    by_hand = {
        "blocks.0.residual_before": lambda x: x * x,
        point: lambda x: (2 * x) * (2 * x) + VECTOR,
    }
    expected = reasoning.intervene(MODELS["gpt"], text, by_hand).numpy()
    np.testing.assert_allclose(twice(text).numpy(), expected, rtol=1e-4, atol=1e-4)
    written = next(twice.generate(text[0].tolist(), 1, temperature=0))
    assert written == expected[0, -1].argmax()
    with pytest.raises(PointError):
        reasoning.Changed(twice, {"blocks.0.nothing": 0.0})
