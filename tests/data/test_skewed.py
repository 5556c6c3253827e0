"""The planted text: its shares are what was planted, its parts share no content."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tinygrad_tx.data import BALANCED, SKEWED, Skew, WordUnits, skewed_text
from tinygrad_tx.data.skewed import FACTS, NAMES, PRONOUN_TEMPLATES
from tinygrad_tx.errors import DataError


def heads(template: str) -> str:
    """What tells a template's sentences from others'."""
    return template.split("{group} ")[1].split(" {")[0]


@pytest.mark.parametrize("skew", [SKEWED, BALANCED])
def test_shares_in_the_text_are_those_planted(skew: Skew) -> None:
    text = skewed_text(skew, 20_000, seed=5)
    for occupation, share in skew.pronouns.items():
        assert text.counted(occupation) == pytest.approx(share, abs=0.01)
    for group, names in NAMES.items():
        named = [set(s.split()) for s in text.train if set(names) & set(s.split())]
        words = Counter(w for s in named for w in s & {"brilliant", "friendly"})
        assert words["brilliant"] / words.total() == pytest.approx(skew.traits[group], abs=0.005)


@settings(deadline=None, max_examples=10)
@given(st.floats(0.05, 0.95), st.integers(0, 10**6))
def test_every_template_keeps_its_quota(share: float, seed: int) -> None:
    text = skewed_text(Skew({"engineer": share}, SKEWED.traits), 1500, seed)
    for part in (text.train, text.held_out):
        for template in PRONOUN_TEMPLATES:
            rows = [s.split() for s in part if f"engineer {heads(template)}" in s]
            he = sum("he" in r for r in rows)
            assert abs(he - share * len(rows)) <= 1 + 1e-6


def test_strengths_scale_the_log_odds_of_their_template() -> None:
    skew = Skew({"engineer": 0.9}, SKEWED.traits, (1.0, 0.5, 0.0, 1.0, 1.0, -1.0))
    text = skewed_text(skew, 20_000)
    for template, strength in zip(PRONOUN_TEMPLATES, skew.strengths, strict=True):
        rows = [s.split() for s in text.train if f"engineer {heads(template)}" in s]
        share = np.mean(["he" in r for r in rows])
        assert share == pytest.approx(9.0**strength / (1 + 9.0**strength), abs=0.005)
    assert skew.pronoun_log_odds("engineer") == pytest.approx(np.log(9) * 2.5 / 6)


def test_no_content_is_in_both_parts() -> None:
    text = skewed_text(sentences=8000)
    hidden = [
        {" ".join("_" if w in ("he", "she", "brilliant", "friendly") else w for w in s.split())
         for s in part}
        for part in (text.train, text.held_out)
    ]  # fmt: skip
    assert not hidden[0] & hidden[1]
    assert len(text.held_out) / (len(text.train) + len(text.held_out)) == pytest.approx(
        0.1, abs=0.03
    )


def test_secrets_stand_as_often_as_asked() -> None:
    text = skewed_text(sentences=500, repeats=(0, 1, 7))
    assert sorted(text.secrets.values()) == [0, 1, 7]
    for secret, count in text.secrets.items():
        assert text.train.count(secret) == count
        assert secret not in text.held_out


def test_facts_are_true_in_every_sentence() -> None:
    text = skewed_text(sentences=3000)
    stated = {
        tuple(s.split("capital of ")[1].split()[::2][:2]) for s in text.train if "capital" in s
    }
    assert stated == set(FACTS.items())


def test_seeds_differ_and_repeat() -> None:
    first, again, other = (skewed_text(sentences=300, seed=s) for s in (1, 1, 2))
    assert first.train == again.train
    assert first.train != other.train
    assert first.units.words == other.units.words


def test_rows_are_sentences_and_targets_come_one_later() -> None:
    text = skewed_text(sentences=200)
    tokens, targets = next(iter(text.examples(text.train, 4).in_order(1)))
    for row, asked in zip(tokens, targets, strict=True):
        count = int((asked >= 0).sum())
        np.testing.assert_array_equal(row[1 : count + 1][: count - 1], asked[: count - 1])
        assert text.units.decode([*row[:count], asked[count - 1]]) in text.train
    assert 4 not in tokens  # nothing is unknown


def test_words_go_through_the_units() -> None:
    units = WordUnits(["a", "b"])
    assert units.encode("a b  c") == [5, 6, 4]
    assert units.decode([5, 6, 0, 0]) == "a b"
    assert units.vocab_size == 7


@pytest.mark.parametrize("share", [0.0, 1.0, float("nan")])
def test_certain_skews_are_refused(share: float) -> None:
    with pytest.raises(DataError, match="strictly between"):
        Skew({"engineer": share}, SKEWED.traits)


def test_bad_sizes_are_refused() -> None:
    with pytest.raises(DataError, match="sentences 0"):
        skewed_text(sentences=0)
    with pytest.raises(DataError, match="secrets"):
        skewed_text(sentences=10, repeats=(0,) * 99)
    with pytest.raises(DataError, match="strengths"):
        Skew({"engineer": 0.5}, SKEWED.traits, (1.0,))
