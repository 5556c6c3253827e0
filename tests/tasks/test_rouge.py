"""ROUGE against values computed by hand, and what must hold for any two texts."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, strategies as st

from tinygrad_tx.tasks.rouge import longest_common, rouge_l, rouge_n, words_of

WORDS = st.lists(st.sampled_from("abc"), max_size=6)


def test_words_are_runs_of_letters_and_digits_without_case() -> None:
    assert words_of("Read a FILE_name2, über-all!") == ["read", "a", "file", "name2", "über", "all"]


def test_rouge_n_is_that_of_counting_by_hand() -> None:
    said, truth = "the cat sat on the mat", "the cat was on the red mat"
    # In common: the (2), cat, on, mat: 5 of 6 and 5 of 7.
    assert rouge_n(said, truth, 1) == pytest.approx(2 * 5 / (6 + 7))
    # Pairs in common: the cat, on the: 2 of 5 and 2 of 6.
    assert rouge_n(said, truth, 2) == pytest.approx(2 * 2 / (5 + 6))
    assert rouge_n("the the the", "the", 1) == pytest.approx(2 * 1 / (3 + 1))  # clipped


def test_rouge_l_is_the_example_of_the_paper() -> None:
    """Lin 2004, section 3.1: of two candidates with the same pairs, order tells."""
    truth = "police killed the gunman"
    assert rouge_l("police kill the gunman", truth) == pytest.approx(3 / 4)
    assert rouge_l("the gunman kill police", truth) == pytest.approx(2 / 4)
    said = "the gunman police killed"
    assert rouge_l(said, truth) == pytest.approx(2 / 4)


@given(WORDS, WORDS)
def test_the_longest_common_subsequence_is_that_of_trying_all(a: list[str], b: list[str]) -> None:
    def subsequences(words: list[str]) -> set[tuple[str, ...]]:
        return {c for n in range(len(words) + 1) for c in itertools.combinations(words, n)}

    assert longest_common(a, b) == max(map(len, subsequences(a) & subsequences(b)))


@given(WORDS, WORDS)
def test_rouge_is_symmetric_within_0_and_1_and_1_for_equal_texts(
    a: list[str], b: list[str]
) -> None:
    said, truth = " ".join(a), " ".join(b)
    for score in (rouge_l, lambda x, y: rouge_n(x, y, 1), lambda x, y: rouge_n(x, y, 2)):
        assert 0 <= score(said, truth) <= 1
        assert score(said, truth) == score(truth, said)
    assert rouge_l(said, said) == (1 if a else 0)
    assert rouge_l(said, truth) <= rouge_n(said, truth, 1)
