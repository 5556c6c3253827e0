"""Two-hop questions as tokens: their facts lead to the answer, and nothing held out is learnt."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tinygrad_tx.models import GPTConfig
from tinygrad_tx.tasks.hops import WORDS, StoryForm, StoryRows, asked_about, drawn, is_held_out
from tinygrad_tx.tasks.stories import NAMES, PLACES, THINGS, questions
from tinygrad_tx.tasks.two_hops import started

LENGTHS = (3, 6)
FORMS = [StoryForm(False), StoryForm(True)]


def said(tokens: list[int]) -> list[str]:
    return [WORDS[t] for t in tokens]


def sentences_of(words: list[str]) -> list[list[str]]:
    """Words up to each full stop."""
    found: list[list[str]] = [[]]
    for word in words:
        if word == ".":
            found.append([])
        else:
            found[-1].append(word)
    return found[:-1]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_the_written_facts_lead_from_the_thing_to_its_place_and_are_in_the_story(seed: int) -> None:
    for story in asked_about(LENGTHS, 2, 3, seed, True):
        thing, answer = story.question[-2], " ".join(story.answer)
        (first, who), (again, place), rest = [
            *sentences_of(said(FORMS[1].written(story))),
            said(FORMS[1].written(story))[-3:],
        ]
        assert (first, again, place) == (thing, who, answer)
        assert rest == ["so", answer, "\n"]
        assert thing in THINGS
        assert who in NAMES
        assert place in PLACES
        told = sentences_of(said(FORMS[1].question(story)))
        assert [who, "the", thing] in [[s[0], *s[2:]] for s in told]
        assert [who, "the", place] in [[s[0], *s[2:]] for s in told]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 2))
def test_the_answer_is_found_in_what_is_written_and_only_before_its_end(
    seed: int, hops: int
) -> None:
    (story,) = asked_about(LENGTHS, hops, 1, seed, True)
    assert story.hops == hops
    assert is_held_out(story)
    for form in FORMS:
        whole = form.written(story)
        assert form.answer(whole) == story.answer
        assert form.answer([*whole, *whole[::-1]]) == story.answer
        assert form.answer(whole[:-1]) is None
    assert FORMS[1].answer(FORMS[0].written(story)) is None  # no facts, no answer
    # Phrases are one token: every sentence has five.
    question = FORMS[0].question(story)
    assert question == FORMS[1].question(story)
    assert len(question) == 5 * len(story.sentences) + 3 + hops


def test_each_question_of_a_story_is_of_the_same_story() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        found = questions(6, rng)
        assert len({s.sentences for s in found}) <= 1
        asked = [s.question[-2] for s in found]
        assert len(set(asked)) == len(asked)
        assert {s.question[-2] in NAMES for s in found if s.hops == 1} <= {True}


def test_held_out_stories_are_a_tenth_and_are_never_learnt() -> None:
    rng = np.random.default_rng(0)
    share = np.mean([is_held_out(found[0]) for _ in range(2000) if (found := questions(5, rng))])
    assert share == pytest.approx(0.1, abs=0.03)
    assert not any(is_held_out(drawn(rng, LENGTHS, False)[0]) for _ in range(200))
    asked = asked_about(LENGTHS, 2, 50, 0, True)
    assert len({s.sentences for s in asked}) == 50
    assert asked == asked_about(LENGTHS, 2, 50, 0, True)
    assert asked != asked_about(LENGTHS, 2, 50, 1, True)


@pytest.mark.parametrize("with_facts", [False, True])
@pytest.mark.parametrize("context", [48, 80, 120])
def test_rows_hold_whole_questions_and_ask_for_what_is_written_alone(
    with_facts: bool, context: int
) -> None:
    rows, form = StoryRows(LENGTHS, with_facts, 8, context, 0), StoryForm(with_facts)
    tokens, targets = rows.draw()
    assert tokens.shape == targets.shape == (8, context)
    counts = []
    for row, asked in zip(tokens, targets, strict=True):
        words = said(row.tolist())
        # The story ends before the first question; each question has its answer and an end.
        story, *parts = " ".join(words).split("Where is ")
        written = [part.partition("? ")[2].rstrip() for part in parts]
        at = np.nonzero(asked >= 0)[0]
        shown = " ".join(said(asked[at].tolist())).split("\n")
        assert [w.replace("\n", "").strip() for w in written] == [s.strip() for s in shown[:-1]]
        np.testing.assert_array_equal(row[at[:-1] + 1], asked[at[:-1]])
        counts.append(len(parts))
        for part in written:
            assert form.answer([WORDS.index("\n")]) in ((), None)
            assert ("so" in part.split()) is with_facts
        assert len(sentences_of(story.split())) >= LENGTHS[0]
    assert min(counts) >= 1
    again = StoryRows(LENGTHS, with_facts, 8, context, 0)
    again.restore("1")
    np.testing.assert_array_equal(again.draw()[0], rows.draw()[0])
    np.testing.assert_array_equal(list(rows.in_order(2)), list(again.in_order(2)))


def test_a_started_model_looks_at_some_tokens_more_than_at_others() -> None:
    """GPT-2's own start makes attention even at this width, and two hops are not found."""
    shape = GPTConfig(len(WORDS), 80, 2, 4, 96)
    model = started(shape, 0)
    weight = model.blocks[0].attention.qkv.weight.numpy()
    assert weight.std() == pytest.approx(96**-0.5, rel=0.05)
    assert model.embedding.weight.numpy().std() == pytest.approx(0.1, rel=0.05)
    assert started(shape, 1).embedding.weight.numpy().std() == pytest.approx(0.1, rel=0.05)
    assert (
        abs(started(shape, 1).embedding.weight.numpy() - model.embedding.weight.numpy()).max() > 0.1
    )
