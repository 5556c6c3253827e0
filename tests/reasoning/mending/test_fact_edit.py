"""Rank-one edits against the closed form's promises, and tracing against interventions by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_tx as tx
from tinygrad_tx import reasoning
from tinygrad_tx.errors import (
    DataError,
    GraphError,
    IndexRangeError,
    NonFiniteError,
    ShapeError,
)
from tinygrad_tx.reasoning.mending.edit import fingerprint
from tinygrad_tx.reasoning.mending.fact_edit import Wish, least_change

M = tx.models
VOCAB = 20
MODEL = M.GPT(M.GPTConfig(VOCAB, 12, 2, 2, 16), seed=5).eval()
for _path, _p in MODEL.named_parameters():
    _p.assign_(_p.numpy() * (50 if _path.startswith("embedding") else 12 if _p.ndim > 1 else 1))
for _path, _p in MODEL.named_parameters():
    if _path.endswith("bias"):
        _p.assign_(np.random.default_rng(1).normal(0, 0.5, _p.shape).astype(np.float32))
TEXT = np.random.default_rng(0).integers(0, VOCAB, (64, 12))
PROMPT, SUBJECT = [3, 7, 2, 5], 1


def problem(seed: int, facts: int, inputs: int, outputs: int) -> Any:
    rng = np.random.default_rng(seed)
    text = rng.normal(size=(inputs * 4, inputs)) @ rng.normal(size=(inputs, inputs))
    c = text.T @ text / len(text) + 1e-3 * np.eye(inputs)
    w = rng.normal(size=(inputs, outputs))
    return w, rng.normal(size=(facts, inputs)), rng.normal(size=(facts, outputs)), c, rng


sizes = st.tuples(st.integers(0, 9999), st.integers(1, 3), st.integers(4, 9), st.integers(1, 5))


@given(sizes)
@settings(deadline=None)
def test_every_key_gives_its_value(size: Any) -> None:
    w, k, v, c, _ = problem(*size)
    np.testing.assert_allclose(k @ least_change(w, k, v, c), v, atol=1e-6 * (1 + np.abs(v).max()))


@given(sizes)
@settings(deadline=None)
def test_keys_that_are_orthogonal_in_c_keep_their_values(size: Any) -> None:
    w, k, v, c, rng = problem(*size)
    new = least_change(w, k, v, c)
    solved = np.linalg.solve(c, k.T)
    q = rng.normal(size=k.shape[1])
    q -= solved @ np.linalg.lstsq(solved, q, rcond=None)[0]  # q C^-1 k = 0 for each k
    np.testing.assert_allclose(q @ new, q @ w, atol=1e-6 * (1 + np.abs(new).max()))
    assert np.linalg.matrix_rank(new - w, tol=1e-9 * np.abs(new).max()) <= len(k)


@given(sizes)
@settings(deadline=None)
def test_no_other_weight_with_those_values_moves_the_text_less(size: Any) -> None:
    w, k, v, c, rng = problem(*size)
    new = least_change(w, k, v, c)
    kernel = np.eye(k.shape[1]) - np.linalg.pinv(k) @ k  # k @ kernel = 0
    other = new + 0.1 * kernel @ rng.normal(size=w.shape)
    np.testing.assert_allclose(k @ other, v, atol=1e-6 * (1 + np.abs(v).max()))
    moved = [float(np.trace((x - w).T @ c @ (x - w))) for x in (new, other)]
    assert moved[0] <= moved[1] * (1 + 1e-9)


def test_for_one_fact_it_is_the_equation_of_the_paper() -> None:
    w, k, v, c, _ = problem(3, 1, 6, 4)
    u = np.linalg.inv(c) @ k[0]
    expected = w + np.outer(u, v[0] - k[0] @ w) / (u @ k[0])
    np.testing.assert_allclose(least_change(w, k, v, c), expected, atol=1e-9)


def test_the_covariance_is_that_of_the_keys_of_text() -> None:
    mask = TEXT > 4
    path = "blocks.1.feed_forward.hidden"
    keys = reasoning.capture(MODEL, TEXT, path)[path].numpy()[mask].astype(np.float64)
    found = reasoning.key_covariance(MODEL, TEXT, 1, mask)
    expected = sum(np.outer(k, k) for k in keys) / len(keys)
    ridge = 1e-3 * np.trace(expected) / 64
    np.testing.assert_allclose(found, expected + ridge * np.eye(64), rtol=1e-5, atol=1e-8)


def said(tokens: Any) -> int:
    return int(MODEL(np.array([tokens])).numpy()[0, -1].argmax())


@pytest.mark.parametrize("place", [SUBJECT, -1])
def test_the_model_says_the_target_and_taken_back_is_as_it_was(place: int) -> None:
    target = int(np.argsort(MODEL(np.array([PROMPT])).numpy()[0, -1])[-2])  # the runner-up
    bits = fingerprint(MODEL)
    edit = reasoning.edit_fact(
        MODEL, PROMPT, SUBJECT, target, text=TEXT, block=0, place=place, decay=0.0, kl=0.0,
        steps=80,
    )  # fmt: skip
    assert fingerprint(MODEL) == bits  # making an edit does not apply it
    before = said(PROMPT)
    with edit.applied():
        assert said(PROMPT) == target
    assert fingerprint(MODEL) == bits
    assert said(PROMPT) == before != target
    assert list(edit.after) == ["blocks.0.feed_forward.down.weight"]


def test_the_edited_layer_gives_the_optimised_value_at_the_subject() -> None:
    edit = reasoning.edit_fact(MODEL, PROMPT, SUBJECT, 4, text=TEXT, block=0, steps=5)
    hidden, output = "blocks.0.feed_forward.hidden", "blocks.0.feed_forward.output"
    plain = reasoning.capture(MODEL, np.array([PROMPT]), [hidden, output])
    key = plain[hidden].numpy()[0, SUBJECT].astype(np.float64)
    with edit.applied():
        now = reasoning.capture(MODEL, np.array([PROMPT]), output)[output].numpy()[0, SUBJECT]
    (after,), (before,) = edit.after.values(), edit.before.values()
    moved = key @ (after.astype(np.float64) - before)
    np.testing.assert_allclose(now, plain[output].numpy()[0, SUBJECT] + moved, atol=1e-4)
    assert np.abs(moved).max() > 1e-3


def test_under_the_edit_the_target_is_as_likely_as_when_its_value_was_put_there() -> None:
    # The last token of the last block: nothing else that the edit moves is read there.
    edit = reasoning.edit_fact(MODEL, PROMPT, SUBJECT, 4, text=TEXT, block=1, place=-1)
    promised = float(edit.notes[0].rpartition("-> ")[2])
    with edit.applied():
        logits = MODEL(np.array([PROMPT])).numpy()[0, -1].astype(np.float64)
    loss = np.log(np.exp(logits - logits.max()).sum()) - (logits[4] - logits.max())
    assert loss == pytest.approx(promised, rel=2e-2)  # the note has three digits


def test_prefixes_move_the_place_and_are_all_edited() -> None:
    wish = Wish([3, 7, 2], 1, 4, also=[([9, 9, 3, 7], -1)])
    assert wish.rows([[], [5, 6]]) == [
        ([3, 7, 2], 1),
        ([5, 6, 3, 7, 2], 3),
        ([9, 9, 3, 7], 3),
        ([5, 6, 9, 9, 3, 7], 5),
    ]
    prefixes = [[], [5, 6], [8]]
    hidden = "blocks.1.feed_forward.hidden"
    keys = []
    for prefix in prefixes:
        text = np.array([[*prefix, *PROMPT]])
        keys.append(reasoning.capture(MODEL, text, hidden)[hidden].numpy()[0, -1])
    edit = reasoning.edit_facts(
        MODEL, [Wish(PROMPT, -1, 4)], 1, np.eye(64), prefixes=prefixes, steps=3
    )
    (after,), (before,) = edit.after.values(), edit.before.values()
    moved = (after.astype(np.float64) - before)[:, 0]  # along C^-1 k* = the mean of the keys
    key = np.mean(keys, 0, dtype=np.float64)
    cosine = moved @ key / np.linalg.norm(moved) / np.linalg.norm(key)
    assert abs(cosine) == pytest.approx(1, abs=1e-4)


def test_shares_between_two_tokens_are_met() -> None:
    wish = Wish(PROMPT, -1, {4: 0.5, 9: 0.5}, also=[([6, *PROMPT], -1)])
    edit = reasoning.edit_facts(MODEL, [wish], 1, text=TEXT, decay=0.0, steps=150)
    with edit.applied():
        logits = MODEL(np.array([PROMPT])).numpy()[0, -1].astype(np.float64)
    p = np.exp(logits - logits.max())
    p /= p.sum()
    assert p[4] + p[9] > 0.7
    assert abs(np.log(p[4] / p[9])) < 1.5
    assert "-log P" in edit.notes[0]


def test_what_follows_the_subject_is_kept_where_that_is_asked() -> None:
    drifts = []
    for kl in (0.0, 10.0):
        edit = reasoning.edit_fact(
            MODEL, PROMPT, SUBJECT, 4, text=TEXT, block=0, kl=kl, decay=0.0, steps=60
        )
        before = MODEL(np.array([PROMPT[: SUBJECT + 1]])).numpy()[0, -1]
        with edit.applied():
            after = MODEL(np.array([PROMPT[: SUBJECT + 1]])).numpy()[0, -1]
        drifts.append(divergence(after, before))
    assert drifts[1] < 0.5 * drifts[0]


def divergence(a: Any, b: Any) -> float:
    p, q = (np.exp(x.astype(np.float64) - x.max()) for x in (a, b))
    p, q = p / p.sum(), q / q.sum()
    return float((p * np.log(p / q)).sum())


def test_tracing_is_what_interventions_by_hand_give() -> None:
    at = ["blocks.*.residual_after_attention", "blocks.*.feed_forward.output"]
    answer = said(PROMPT)
    trace = reasoning.causal_trace(MODEL, PROMPT, SUBJECT, answer, at, draws=3, seed=1)
    text = np.array([PROMPT])
    clean = reasoning.capture(MODEL, text, ["token_embedding", *at])
    embedded = clean["token_embedding"].numpy()
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 3 * embedded.std(), (3, 1, 16)).astype(np.float32)
    for i, path in enumerate(trace.paths):
        for position in range(4):
            chances = []
            for draw in noise:
                spoilt = embedded.copy()
                spoilt[0, SUBJECT] += draw[0]
                value = clean[path].numpy()
                changes = {
                    "token_embedding": spoilt,
                    path: reasoning.replace(value, positions=position),
                }
                logits = reasoning.intervene(MODEL, text, changes).numpy()[0, -1]
                wide = np.exp(logits.astype(np.float64) - logits.max())
                chances.append(wide[answer] / wide.sum())
            assert trace.restored[i, position] == pytest.approx(np.mean(chances), abs=1e-5)
    assert trace.best() in trace.paths
    assert trace.where[0] in trace.paths
    assert "clean" in trace.table().text()


def test_restoring_the_only_spoilt_state_restores_all_and_earlier_ones_nothing() -> None:
    answer = said(PROMPT)
    at = "blocks.0.residual_before"
    trace = reasoning.causal_trace(MODEL, PROMPT, SUBJECT, answer, at, draws=4)
    assert trace.restored[0, SUBJECT] == pytest.approx(trace.clean, abs=1e-6)
    np.testing.assert_allclose(trace.effects[0, [0, 2, 3]], 0, atol=1e-6)


def test_the_largest_effect_is_named() -> None:
    restored = np.array([[0.1, 0.3, 0.2], [0.1, 0.2, 0.6]])
    trace = reasoning.Trace(("a", "b"), (5, 6, 7), (1,), restored, 0.9, 0.1, 4)
    assert trace.where == ("b", 2)
    assert trace.best() == "a"  # at the subject's last token
    assert trace.best(2) == "b"
    np.testing.assert_allclose(trace.effects[1], [0.0, 0.1, 0.5])


def test_without_a_block_the_edit_is_where_tracing_points() -> None:
    trace = reasoning.causal_trace(MODEL, PROMPT, SUBJECT, said(PROMPT))
    edit = reasoning.edit_fact(MODEL, PROMPT, SUBJECT, 4, text=TEXT, steps=2)
    block = trace.where[0].split(".")[1]
    assert list(edit.after) == [f"blocks.{block}.feed_forward.down.weight"]


def test_bad_input_is_refused() -> None:
    w, k, v, c, _ = problem(1, 2, 5, 3)
    with pytest.raises(ShapeError, match="covariance"):
        least_change(w, k, v, c[:4])
    with pytest.raises(GraphError, match="depend on each other"):
        least_change(w, np.stack([k[0], k[0]]), v, c)
    with pytest.raises(GraphError, match="no inverse"):
        least_change(w, k, v, np.zeros((5, 5)))
    with pytest.raises(NonFiniteError):
        least_change(w, k * np.nan, v, c)
    with pytest.raises(IndexRangeError, match="4 tokens"):
        reasoning.edit_fact(MODEL, PROMPT, 4, 1, text=TEXT)
    with pytest.raises(GraphError, match=r"no feed-forward in block 9.*blocks\.0"):
        reasoning.edit_fact(MODEL, PROMPT, 1, 1, text=TEXT, block=9)
    with pytest.raises(DataError, match="vocabulary"):
        reasoning.edit_fact(MODEL, PROMPT, 1, 99, text=TEXT, block=0)
    with pytest.raises(DataError, match="give text"):
        reasoning.edit_fact(MODEL, PROMPT, 1, 1, block=0)
    with pytest.raises(DataError, match="no wish"):
        reasoning.edit_facts(MODEL, [], 0, text=TEXT)
    with pytest.raises(DataError, match="noise"):
        reasoning.causal_trace(MODEL, PROMPT, 1, 1, noise=0.0)


def test_a_prompt_of_one_token_is_traced_and_edited() -> None:
    trace = reasoning.causal_trace(MODEL, [3], 0, said([3]), draws=1)
    assert trace.effects.shape == (2, 1)
    edit = reasoning.edit_fact(MODEL, [3], 0, 7, text=TEXT, block=1, decay=0.0, steps=80)
    with edit.applied():
        assert said([3]) == 7


def test_effects_are_counted_before_and_under_the_edit() -> None:
    paraphrases, neighbours = [[9, *PROMPT], [2, *PROMPT]], [[5, 8, 2, 5], [1], [4, 4]]
    edit = reasoning.edit_fact(
        MODEL, PROMPT, SUBJECT, 4, text=TEXT, block=1, place=-1, decay=0.0, steps=80
    )
    bits = fingerprint(MODEL)
    found = reasoning.fact_effects(MODEL, edit, 4, [PROMPT], paraphrases, neighbours)
    assert fingerprint(MODEL) == bits
    before = [said(n) for n in neighbours]
    with edit.applied():
        own, others = said(PROMPT), [said(p) for p in paraphrases]
        after = [said(n) for n in neighbours]
    assert found.efficacy.value == (own == 4) == 1
    assert found.generalisation.value == np.mean([o == 4 for o in others])
    assert found.specificity.value == np.mean([a == b for a, b in zip(before, after, strict=True)])
    assert found.target[1][0] > 0.5 > found.target[0][0]
    assert found.kept.shape == (3,)
    assert found.specificity.low < found.specificity.value  # three prompts say little
    assert "neighbours" in found.table().text()
    alone = reasoning.fact_effects(MODEL, edit, 4, [PROMPT])
    assert alone.generalisation is None
    assert alone.table().rows[1][1] is None
    with pytest.raises(DataError, match="at least one"):
        reasoning.fact_effects(MODEL, edit, 4, [])
