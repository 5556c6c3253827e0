"""Templates: what they render, where slots stand, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tinygrad_tx.data import BPETokenizer, ByteTokenizer, CharTokenizer
from tinygrad_tx.errors import DataError
from tinygrad_tx.prompt import QUESTION, Template, Verbalizer

WORDS = st.text("abc xyz", min_size=1, max_size=12)


@given(text=WORDS, more=WORDS, answer=WORDS)
def test_tokens_are_those_of_the_filled_text_and_places_hold_what_was_put_in(
    text: str, more: str, answer: str
) -> None:
    template, units = Template("<{text}> {more} is {{{mask}}}."), ByteTokenizer()
    example = {"text": text, "more": more}
    prompt = template.prompt(units, example, answer)
    assert units.decode(prompt.tokens) == f"<{text}> {more} is {{{answer}}}."
    assert template.fill(example, answer) == units.decode(prompt.tokens)
    for name, value in {**example, "mask": answer}.items():
        first, behind = prompt.places[name]
        assert units.decode(prompt.tokens[first:behind]).strip() == value.strip()
    assert prompt.answer == prompt.places["mask"]


def test_a_space_before_a_slot_goes_with_it_as_byte_pair_units_have_it() -> None:
    units = BPETokenizer.train("it was good and it was great. " * 50, 300)
    template = Template("{text} it was {mask}.")
    prompt = template.prompt(units, {"text": "great"}, "good")
    assert prompt.tokens.tolist() == units.encode("great it was good.").tolist()
    first, behind = prompt.answer
    assert prompt.tokens[first:behind].tolist() == units.encode(" good").tolist()
    assert template.word("good") == " good"
    assert Template("x:{mask}").word("good") == "good"


def test_only_slots_that_allow_it_lose_their_ends_and_the_longest_first() -> None:
    template = Template("{a:cut}-{b:cut}-{c}:{mask}")
    example = {"a": "aaaaaaaa", "b": "bbbb", "c": "cccccc"}
    prompt = template.prompt(ByteTokenizer(), example, "!", longest=15)
    assert ByteTokenizer().decode(prompt.tokens) == "aa-bbb-cccccc:!"  # a of two as long
    with pytest.raises(DataError, match="not 9"):
        template.prompt(ByteTokenizer(), example, "!", longest=9)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("no place for it", "0 places"),
        ("{mask} and {mask}", "2 places"),
        ("{a} {a} {mask}", r"\['a'\] more than once"),
        ("{mask", "'{mask'"),
        ("{mask} {}", "is no slot"),
        ("{mask} {a.b}", "is no slot"),
        ("{mask} {a:>8}", "is no slot"),
        ("{mask} {a!r}", "is no slot"),
    ],
)
def test_what_is_no_template_is_refused(text: str, part: str) -> None:
    with pytest.raises(DataError, match=part):
        Template(text)


def test_missing_and_unknown_slots_are_all_named() -> None:
    with pytest.raises(DataError, match=r"missing slots \['context'\], unknown slots \['x', 'y'\]"):
        QUESTION.fill({"question": "?", "x": "", "y": ""}, "a")


def test_a_character_that_the_units_lack_is_an_error_of_the_units() -> None:
    with pytest.raises(DataError, match="U\\+007A"):
        Template("{a}{mask}").prompt(CharTokenizer("ab"), {"a": "z"}, "a")


@pytest.mark.parametrize(
    "words",
    [{"a": ["x"]}, {"a": ["x"], "b": []}, {"a": ["x"], "b": ["x"]}, {"a": [""], "b": ["y"]}],
)
def test_what_is_no_verbalizer_is_refused(words: dict[str, list[str]]) -> None:
    with pytest.raises(DataError, match="Verbalizer"):
        Verbalizer(words)


def test_a_text_in_the_place_of_a_list_of_words_is_refused() -> None:
    with pytest.raises(DataError, match="list of words"):
        Verbalizer({"a": "good", "b": "bad"})


def test_a_label_has_the_probability_of_any_of_its_words() -> None:
    verbalizer = Verbalizer({"up": ["a", "b"], "down": ["c"]})
    chances = np.array([[0.1, 0.3, 0.2], [0.05, 0.05, 0.3]])
    np.testing.assert_allclose(
        np.exp(verbalizer.label_scores(np.log(chances))), [[0.4, 0.2], [0.1, 0.3]]
    )
    np.testing.assert_allclose(
        verbalizer.probabilities(np.log(chances)), [[2 / 3, 1 / 3], [0.25, 0.75]]
    )
    assert verbalizer.word("up") == "a"
    assert verbalizer.first() == Verbalizer({"up": ["a"], "down": ["c"]})
    with pytest.raises(DataError, match="sideways"):
        verbalizer.word("sideways")
