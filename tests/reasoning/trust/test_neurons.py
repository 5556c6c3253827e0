"""Units' strongest examples and statistics are those of the whole corpus held at once."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_tx as tx
from tinygrad_tx import reasoning
from tinygrad_tx.errors import DataError, IndexRangeError, NonFiniteError, PointError
from tinygrad_tx.reasoning.trust.neurons import Strongest

RNG = np.random.default_rng(0)
TOKENS = RNG.integers(1, 11, (12, 6))
PATH = "blocks.0.feed_forward.hidden"


def gpt() -> Any:
    model = tx.models.GPT(tx.models.GPTConfig(11, 8, 1, 2, 8)).eval()
    for p in model.parameters():
        p.assign_(p.numpy() + RNG.normal(0, 0.3, p.shape).astype(np.float32))
    return model


def test_streamed_figures_are_those_of_all_values_at_once() -> None:
    model = gpt()
    told: list[tuple[int, int]] = []
    found = reasoning.neurons(
        model, [TOKENS[:5], TOKENS[5:10], TOKENS[10:]], examples=3, context=2, threshold=0.1,
        on_progress=lambda *a: told.append(a),
    )  # fmt: skip
    values = reasoning.capture(model, TOKENS, PATH)[PATH].numpy().astype(np.float64)
    units = found[PATH]
    np.testing.assert_allclose(units.mean, values.mean((0, 1)), atol=1e-6)
    np.testing.assert_allclose(units.deviation, values.std((0, 1)), atol=1e-5)
    np.testing.assert_allclose(units.active, (values > 0.1).mean((0, 1)))
    np.testing.assert_allclose(units.max, values.max((0, 1)), atol=1e-6)
    assert units.dead.tolist() == np.flatnonzero((values <= 0.1).all((0, 1))).tolist()
    for unit in range(32):
        top = np.sort(values[..., unit].max(1))[::-1][:3]
        examples = found.examples(PATH, unit)
        np.testing.assert_allclose([e.activation for e in examples], top, atol=1e-6)
        assert len({e.text for e in examples}) == 3
        for e in examples:
            at = e.position
            assert e.tokens[e.place] == TOKENS[e.text, at]
            assert values[e.text, at, unit] == pytest.approx(e.activation, abs=1e-6)
            window = slice(max(0, at - 2), at + 3)
            assert list(e.tokens) == TOKENS[e.text, window].tolist()
            np.testing.assert_allclose(e.activations, values[e.text, window, unit], atol=1e-6)
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert PATH in str(found.table())
    assert "[" in str(found.examples_table(PATH, 0))


def test_a_planted_unit_shows_its_token() -> None:
    """A unit that is set to answer to token 7, among units that are set to nothing."""
    model = gpt()
    is_seven = (TOKENS == 7).astype(np.float32)[..., None] * np.eye(32, dtype=np.float32)[3]

    def changed(tokens: Any) -> Any:
        return reasoning.look(model, tokens, PATH, {PATH: is_seven})

    strongest = Strongest(4, 1)
    strongest.read(TOKENS, changed(TOKENS)[PATH].numpy())
    assert {e.tokens[e.place] for e in strongest.unit(3) if e.activation > 0} == {7}
    statistics = strongest.statistics()
    assert statistics["active"][3] == pytest.approx((TOKENS == 7).mean())
    assert np.flatnonzero(statistics["active"]).tolist() == [3]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 4), max_size=4), st.integers(1, 4), st.integers(0, 3))
def test_how_the_corpus_is_cut_does_not_matter(
    cuts: list[int], examples: int, context: int
) -> None:
    values = np.random.default_rng(1).normal(size=(9, 4, 2))
    tokens = np.arange(36).reshape(9, 4)
    whole, parts = Strongest(examples, context), Strongest(examples, context)
    whole.read(tokens, values)
    edges = [0, *np.minimum(np.cumsum(cuts), 9), 9]
    for start, stop in pairwise(edges):
        parts.read(tokens[start:stop], values[start:stop])
    assert [whole.unit(u) for u in (0, 1)] == [parts.unit(u) for u in (0, 1)]


def test_padding_counts_for_nothing() -> None:
    model, padded = gpt(), TOKENS.copy()
    padded[:, 3:] = 0
    found = reasoning.neurons(model, [padded], ignore=0)
    short = reasoning.neurons(model, [TOKENS[:, :3]])
    assert found.tokens == short.tokens == 36
    np.testing.assert_allclose(found[PATH].mean, short[PATH].mean, atol=1e-6)
    assert all(0 not in e.tokens for e in found.examples(PATH, 0))


def test_texts_are_shown_through_a_tokenizer() -> None:
    found = reasoning.neurons(
        gpt(), [TOKENS], decode=lambda tokens: "".join(chr(96 + t) for t in tokens)
    )
    first = found.examples(PATH, 5)[0]
    shown = found.examples_table(PATH, 5).rows[0][1]
    assert f"[{chr(96 + first.tokens[first.place])}]" in shown
    assert shown.replace("[", "").replace("]", "") == "".join(chr(96 + t) for t in first.tokens)


def test_bad_input_says_so() -> None:
    model = gpt()
    with pytest.raises(PointError, match=r"no units at each|is \(12, 2, 6, 6\)"):
        reasoning.neurons(model, [TOKENS], "*.pattern")
    with pytest.raises(PointError, match="nothing_like_it"):
        reasoning.neurons(model, [TOKENS], "nothing_like_it")
    with pytest.raises(DataError, match="no texts"):
        reasoning.neurons(model, [])
    found = reasoning.neurons(model, [TOKENS[:1, :1]])
    with pytest.raises(IndexRangeError, match="32"):
        found.examples(PATH, 32)
    with pytest.raises(PointError, match=PATH):
        found["other"]
    model.blocks[0].feed_forward.up.weight.assign_(
        np.full_like(model.blocks[0].feed_forward.up.weight.numpy(), np.nan)
    )
    with pytest.raises(NonFiniteError, match="unit 0"):
        reasoning.neurons(model, [TOKENS])
