"""Rules while writing: what they do to probabilities, and that every way of writing keeps them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

import tinygrad_tx as tx
from tinygrad_tx.errors import DataError, NonFiniteError
from tinygrad_tx.models import Balanced, Banned, Sampling, write_batch
from tinygrad_tx.models.generation import beam_search

MODEL = tx.models.GPT(tx.models.GPTConfig(12, 16, 1, 2, 16), seed=3).eval()
for _p in MODEL.parameters():
    _p.assign_(_p.numpy() * 10)
PROMPTS = [[1, 2, 3], [4], [5, 6]]


def chances(logits: Any) -> Any:
    wide = np.exp(logits.astype(np.float64) - logits.max())
    return wide / wide.sum()


@given(arrays(np.float32, 8, elements=st.floats(-30, 30, width=32)))
@settings(deadline=None)
def test_balanced_groups_are_as_likely_and_nothing_else_moves(logits: Any) -> None:
    before = chances(logits)
    after = chances(Balanced(((0, 1), (2,), (3,)))(logits, []))
    np.testing.assert_allclose(after[4:], before[4:], rtol=1e-4, atol=1e-12)
    whole = before[:4].sum()
    for group in ([0, 1], [2], [3]):
        np.testing.assert_allclose(after[group].sum(), whole / 3, rtol=1e-4, atol=1e-12)
    np.testing.assert_allclose(after[0] * before[1], after[1] * before[0], rtol=1e-3, atol=1e-12)


def test_a_group_that_cannot_come_gets_its_share_and_none_at_all_is_no_nan() -> None:
    logits = np.array([1.0, -np.inf, 2.0, -np.inf], np.float32)
    after = chances(Balanced(((0,), (1, 3)))(logits, []))
    np.testing.assert_allclose(after[0], after[1] + after[3], rtol=1e-5)
    np.testing.assert_array_equal(Balanced(((1,), (3,)))(logits, []), logits)


def test_unless_leaves_texts_with_such_a_token_alone() -> None:
    logits = np.arange(5, dtype=np.float32)
    for rule in (Banned((1,), frozenset({9})), Balanced(((1,), (2,)), frozenset({9}))):
        assert rule(logits, [3, 9, 4]) is logits
        assert not np.array_equal(rule(logits, [3, 4]), logits)


@pytest.mark.parametrize("options", [{}, {"temperature": 0}, {"beams": 3}, {"top_k": 3}])
def test_banned_tokens_are_never_written(options: Any) -> None:
    free = list(MODEL.generate(PROMPTS[0], 12, seed=0, **options))
    rule = Banned(tuple(set(free[:3])))
    written = list(MODEL.generate(PROMPTS[0], 12, seed=0, constraint=rule, **options))
    assert len(written) == 12
    assert not set(rule.tokens) & set(written)


def test_a_batch_writes_under_a_rule_what_each_text_writes_alone() -> None:
    rule = Banned((3, 7), unless=frozenset({5}))
    together = write_batch(MODEL, PROMPTS, 10, constraint=rule)
    alone = [list(MODEL.generate(p, 10, temperature=0, constraint=rule)) for p in PROMPTS]
    assert together == alone

    def only_new(logits: Any, seen: Any) -> Any:
        return np.where(np.isin(np.arange(12), seen), -np.inf, logits)

    together = write_batch(MODEL, PROMPTS, 8, constraint=only_new)
    assert all(len({*p, *t}) == len(p) + 8 for p, t in zip(PROMPTS, together, strict=True))


def test_a_rule_that_does_nothing_changes_nothing() -> None:
    for options in ({"seed": 1}, {"temperature": 0}, {"beams": 2}):
        free = list(MODEL.generate(PROMPTS[0], 8, **options))
        ruled = MODEL.generate(PROMPTS[0], 8, constraint=lambda logits, seen: logits, **options)
        assert list(ruled) == free


def test_a_rule_sees_the_prompt_and_what_was_written() -> None:
    texts = []

    def watch(logits: Any, seen: Any) -> Any:
        texts.append(list(seen))
        return logits

    written = list(MODEL.generate([1, 2], 3, temperature=0, constraint=watch))
    assert texts == [[1, 2], [1, 2, written[0]], [1, 2, *written[:2]]]


def test_beams_rank_by_the_probability_under_the_rule() -> None:
    rule = Balanced(((0, 1, 2, 3, 4, 5), (6, 7, 8, 9, 10, 11)))
    found = beam_search(MODEL, [1], 2, 144, constraint=rule)  # all texts of two tokens
    best, most = None, -np.inf
    for first in range(12):
        for second in range(12):
            total = 0.0
            for text, token in (([1], first), ([1, first], second)):
                logits = MODEL(np.array([text])).numpy()[0, -1]
                total += float(np.log(chances(rule(logits, text))[token]))
            if total > most:
                best, most = [first, second], total
    assert found == best


def test_bad_rules_are_refused() -> None:
    with pytest.raises(DataError, match="groups"):
        Balanced(((1,),))
    with pytest.raises(DataError, match="groups"):
        Balanced(((1, 2), (2,)))
    with pytest.raises(NonFiniteError, match="leaves no token"):
        list(MODEL.generate([1], 2, constraint=Banned(tuple(range(12)))))
    with pytest.raises(DataError, match="constraint gave"):
        write_batch(MODEL, [[1]], 2, Sampling(), constraint=lambda logits, seen: logits[:3])
