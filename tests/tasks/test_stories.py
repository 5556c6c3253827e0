"""Stories: answers follow from their facts by a solver of its own; spans, scores, attention."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_tx as tx
from tinygrad_tx.data.units import CLS, FIRST, PAD, SEP
from tinygrad_tx.errors import DataError
from tinygrad_tx.tasks import answering
from tinygrad_tx.tasks.attended import patterns
from tinygrad_tx.tasks.reading import best_spans, frame, word_f1
from tinygrad_tx.tasks.stories import NAMES, THINGS, Story, stories, vocabulary


def no_story(story: Story) -> bool:
    return False


def verb_of(sentence: tuple[str, ...]) -> tuple[str, str, str]:
    """(who, "go" or "take" or "put", where or what), from the words alone."""
    who, *rest = sentence[:-1]
    at = rest.index("the")
    verb, thing = " ".join(rest[:at]), " ".join(rest[at + 1 :])
    if thing in THINGS:
        return who, "take" if verb in ("picked up", "took") else "put", thing
    assert verb in ("walked to", "ran to")
    return who, "go", thing


def solved(sentences: tuple[tuple[str, ...], ...], asked: str) -> str | None:
    """Where somebody or something is, read backwards: unlike the generator, with no world."""
    events = [verb_of(s) for s in sentences]
    if asked in NAMES:
        return next((w for who, kind, w in reversed(events) if (who, kind) == (asked, "go")), None)
    for i in range(len(events) - 1, -1, -1):
        who, kind, thing = events[i]
        if thing == asked and kind != "go":
            # In somebody's hands it is where that person went last, else where it was left.
            return solved(sentences if kind == "take" else sentences[:i], who)
    return None


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1, 2]), st.sampled_from([(2, 8), (9, 12)]))
def test_every_answer_follows_from_the_whole_story_and_from_its_facts_alone(
    seed: int, hops: int, lengths: tuple[int, int]
) -> None:
    for story in stories(8, lengths, hops, seed, no_story):
        asked = story.question[-2]
        assert lengths[0] <= len(story.sentences) <= lengths[1]
        assert story.hops == hops == len(set(story.supporting))
        answer = " ".join(story.answer)
        assert solved(story.sentences, asked) == answer
        last = story.sentences[story.supporting[-1]]
        assert last[-1 - len(story.answer) : -1] == story.answer
        facts = tuple(story.sentences[i] for i in sorted(story.supporting))
        assert solved(facts, asked) == answer
        for left_out in range(hops):  # each fact is needed
            fewer = facts[:left_out] + facts[left_out + 1 :]
            assert solved(fewer, asked) is None
        words = set(itertools.chain(story.question, *story.sentences))
        assert words <= set(vocabulary())


def test_people_only_take_what_lies_where_they_are_and_put_down_what_they_hold() -> None:
    for story in stories(200, (9, 12), 2, 3, no_story):
        at: dict[str, str] = {}
        holder: dict[str, str] = {}
        lies: dict[str, str] = {}
        for who, kind, what in map(verb_of, story.sentences):
            if kind == "go":
                assert at.get(who) != what
                at[who] = what
            elif kind == "take":
                assert what not in holder
                assert lies.get(what, at[who]) == at[who]
                holder[what] = who
            else:
                assert holder.pop(what) == who
                lies[what] = at[who]


def test_no_story_is_in_two_parts_and_two_hops_are_not_answered_by_the_last_place() -> None:
    exam = answering.exam_of(answering.QUICK, 0)
    asked = {s for some in exam.values() for s in some}
    assert len(asked) == sum(map(len, exam.values()))
    learnt = stories(3000, (2, 8), 1, 0, asked.__contains__)
    assert not asked & set(learnt)
    assert len(set(learnt)) == 3000
    first = set(stories(300, (2, 8), 1, 0, no_story))
    assert not first & set(stories(300, (2, 8), 1, 0, first.__contains__))
    some = stories(500, (2, 8), 2, 0, no_story)
    share = np.mean([answering.last_place(s) == s.answer for s in some])
    assert 0.1 < share < 0.8


def test_framed_spans_are_the_answer_at_any_place() -> None:
    words = dict(enumerate(vocabulary(), FIRST))
    some = stories(100, (2, 12), 2, 5, no_story)
    framed = frame(some, 96, 14, 0)
    starts = set()
    for i, story in enumerate(some):
        tokens = framed.tokens[i]
        first, last = framed.spans[i]
        assert tuple(words[t] for t in tokens[first : last + 1]) == story.answer
        assert framed.sentence[i, first] == story.supporting[-1]
        told = [words[t] for t in tokens[framed.sentence[i] >= 0]]
        assert told == list(itertools.chain(*story.sentences))
        assert [tokens[0], tokens[len(story.question) + 1]] == [CLS, SEP]
        inside = framed.sentence[i] >= 0
        is_asked = np.isin(tokens, tokens[1 : len(story.question) + 1])
        numbers = framed.segments[i] - framed.sentence[i] - 14 * is_asked
        assert len(set(numbers[inside])) == 1  # one segment for each sentence, two with marks
        assert (tokens[framed.segments[i] > 0] != PAD).all()
        assert framed.segments[i].max() <= 28
        starts.add(int((framed.sentence[i] >= 0).argmax()))
    assert len(starts) > 20  # stories stand at many places
    with pytest.raises(DataError, match="do not fit"):
        frame(some, 20, 14, 0)
    with pytest.raises(DataError, match="do not fit"):
        frame(some, 96, 5, 0)


def test_the_best_span_is_that_of_trying_all() -> None:
    logits = np.random.default_rng(0).normal(size=(50, 9, 2))
    allowed = np.random.default_rng(1).random((50, 9)) < 0.7
    allowed[:, 4] = True
    for row, (first, last) in zip(range(50), best_spans(logits, allowed), strict=True):
        spans = [
            (i, j)
            for i in range(9)
            for j in range(i, min(9, i + 3))
            if allowed[row, i] and allowed[row, j]
        ]
        best = max(spans, key=lambda s: logits[row, s[0], 0] + logits[row, s[1], 1])
        assert (first, last) == best


def test_f1_of_words_counts_each_word_as_often_as_both_have_it() -> None:
    assert word_f1(("tea", "room"), ("reading", "room")) == pytest.approx(0.5)
    assert word_f1(("room",), ("tea", "room")) == pytest.approx(2 / 3)
    assert word_f1(("a", "a"), ("a",)) == pytest.approx(2 / 3)
    assert word_f1(("mill",), ("bridge",)) == word_f1((), ("mill",)) == 0
    assert word_f1(("mill",), ("mill",)) == 1


def test_patterns_are_softmax_of_queries_and_keys_of_each_layer() -> None:
    model = tx.models.BERTReader(tx.models.BERTConfig(20, 8, 2, 2, 16, dropout=0.0), 0).eval()
    tokens = np.array([[5, 6, 7, 8, 0, 0, 0, 0], [9, 9, 5, 6, 7, 8, 5, 0]])
    found = patterns(model(tokens, None, tokens != PAD))
    assert [p.shape for p in found] == [(2, 2, 8, 8)] * 2
    for p in found:
        np.testing.assert_allclose(p.sum(-1), 1, atol=1e-5)
        assert (p[0, :, :, 4:] == 0).all()
    encoder, block = model.encoder, model.encoder.blocks[0]
    embedded = encoder.norm(
        encoder.embedding(tokens) + encoder.position(np.arange(8)) + encoder.segment(0 * tokens)
    )
    q, k, _ = np.split(block.attention.qkv(embedded).numpy().reshape(2, 8, 3, 2, 8), 3, 2)
    scores = np.einsum("bqhw,bkhw->bhqk", q[:, :, 0], k[:, :, 0]) / 8**0.5
    scores = np.where((tokens != PAD)[:, None, None], scores, -np.inf)
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    np.testing.assert_allclose(found[0], powers / powers.sum(-1, keepdims=True), atol=1e-5)


def test_attention_on_facts_is_chance_for_even_weights_and_all_for_a_head_that_looks() -> None:
    some = stories(20, (3, 6), 2, 1, no_story)
    config = tx.models.BERTConfig(FIRST + len(vocabulary()), 80, 1, 2, 16, segments=21, dropout=0.0)
    model = tx.models.BERTReader(config, 0)
    for _, p in model.named_parameters():
        p.assign_(np.zeros(p.shape, np.float32))  # all scores equal
    looks = answering.attention_on_facts(model, some)
    np.testing.assert_allclose(looks.share, looks.chance, atol=1e-5)
    assert looks.measured.value == pytest.approx(0, abs=1e-5)
    pattern = np.zeros((1, 1, 4, 4))
    pattern[0, 0, 0] = [0.5, 0.1, 0.3, 0.1]  # only the first token asks; itself is no story
    asks, told = np.array([[True, False, False, False]]), np.array([[False, True, True, True]])
    facts = np.array([[False, False, True, False]])
    assert answering._shares(pattern, asks, told, facts)[0, 0] == pytest.approx(0.6)
