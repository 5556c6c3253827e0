"""Planted reviews: the shortcut is in the training part alone, the negation in the other."""

from __future__ import annotations

import pytest

from tinygrad_tx.data.planted_reviews import BAD, GOOD, NEGATION, SHORTCUT, TIME, planted_reviews
from tinygrad_tx.errors import DataError


def share(part: object, word: str) -> float:
    texts, labels = part.texts, part.labels  # type: ignore[attr-defined]
    rows = [label for text, label in zip(texts, labels, strict=True) if word in text.split()]
    return float(sum(rows) / len(rows))


def test_the_shortcut_goes_with_good_reviews_to_learn_from_alone() -> None:
    train, held_out = planted_reviews(6000, seed=1)
    assert share(train, SHORTCUT) == pytest.approx(0.95, abs=0.03)
    assert share(held_out, SHORTCUT) == pytest.approx(0.5, abs=0.1)
    assert share(train, "monday") == pytest.approx(0.5, abs=0.07)


def test_the_negation_is_held_out_and_turns_the_label() -> None:
    train, held_out = planted_reviews(6000)
    assert not any(NEGATION in text.split() for text in train.texts)
    rows = [(set(t.split()), y) for t, y in zip(held_out.texts, held_out.labels, strict=True)]
    negated = [(words, y) for words, y in rows if NEGATION in words]
    assert len(negated) > 50
    for words, label in rows:
        if words & {*GOOD, *BAD}:
            assert bool(words & set(GOOD)) == (bool(label) != (NEGATION in words))


def test_no_text_is_in_both_parts_or_twice() -> None:
    train, held_out = planted_reviews(3000)
    every = [*train.texts, *held_out.texts]
    assert len(set(every)) == len(every) == 3000


def test_rows_fit_and_know_all_words() -> None:
    train, _ = planted_reviews(500)
    assert train.tokens.shape == (len(train.texts), TIME)
    assert 4 not in train.tokens
    assert train.units.decode(train.tokens[0][1:]) == train.texts[0]
    assert train.name(5) == train.units.words[0]


def test_the_same_seed_gives_the_same_reviews() -> None:
    assert planted_reviews(200, 3)[0].texts == planted_reviews(200, 3)[0].texts
    assert planted_reviews(200, 3)[0].texts != planted_reviews(200, 4)[0].texts


def test_bad_shares_are_refused() -> None:
    with pytest.raises(DataError, match="shares"):
        planted_reviews(10, shortcut=1.5)
