"""Examples drawn in seeded rounds, units with special tokens, and words that are hidden."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tinygrad_tx.data import CharacterUnits, Examples, WordPieces, framed, hide_words
from tinygrad_tx.data.units import CLS, FIRST, MASK, PAD, SEP, UNKNOWN
from tinygrad_tx.errors import DataError

TEXT = "the cat sat on the mat and the dog sat on the log . 注意力 is all you need"


@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 3))
def test_every_round_has_each_row_once_in_another_order(count: int, batch: int, seed: int) -> None:
    examples = Examples([np.arange(count), np.arange(count) * 2], batch, seed)
    drawn = [examples.draw() for _ in range(2 * count)]
    assert all(np.array_equal(b, a * 2) for a, b in drawn)
    order = np.concatenate([a for a, _ in drawn])[: 2 * count]
    for part in (order[:count], order[count:]):
        np.testing.assert_array_equal(np.sort(part), np.arange(count))
    if count > 8:
        assert not np.array_equal(order[:count], order[count:])


@given(st.integers(1, 40), st.integers(0, 20))
def test_draws_go_on_from_a_saved_state_with_the_same_random_changes(
    count: int, before: int
) -> None:
    def noisy(batch: tuple[np.ndarray, ...], rng: np.random.Generator) -> tuple[np.ndarray, ...]:  # type: ignore[type-arg]  # any
        return (batch[0] + rng.random(len(batch[0])),)

    examples = Examples([np.arange(count)], 4, 1, noisy)
    for _ in range(before):
        examples.draw()
    state = examples.state()
    expected = [examples.draw()[0] for _ in range(5)]
    other = Examples([np.arange(count)], 4, 1, noisy)
    list(other.in_order())  # validation leaves the order of training alone
    other.restore(state)
    np.testing.assert_array_equal([other.draw()[0] for _ in range(5)], expected)
    noise = np.array(expected) % 1
    assert len(np.unique(noise)) == noise.size  # other random numbers for each batch


@given(st.integers(1, 50), st.integers(1, 9), st.integers(1, 6))
def test_validation_reads_the_same_full_batches_each_time(
    count: int, batch: int, most: int
) -> None:
    examples = Examples([np.arange(count)], batch)
    first, again = ([b[0] for b in examples.in_order(most)] for _ in range(2))
    assert len(first) == min(most, max(1, count // batch))
    assert all(len(b) == batch for b in first)
    np.testing.assert_array_equal(first, again)


def test_arrays_of_different_lengths_are_refused() -> None:
    for arrays in ([np.arange(3), np.arange(4)], [np.arange(0)], []):
        with pytest.raises(DataError, match="one length"):
            Examples(arrays, 2)


@pytest.mark.parametrize("kind", [CharacterUnits, WordPieces])
def test_units_put_special_tokens_first(kind: type[CharacterUnits] | type[WordPieces]) -> None:
    units = kind.train([TEXT] * 3, 60)
    tokens = units.encode(TEXT)
    assert min(tokens) >= FIRST
    assert max(tokens) < units.vocab_size <= 60
    assert units.encode("☃") == [UNKNOWN]
    assert all(kind.train([TEXT] * 3, 60).to_json() == units.to_json() for _ in range(5))


@given(st.lists(st.integers(5, 90), max_size=30), st.lists(st.integers(5, 90), max_size=30))
def test_frames_hold_both_texts_with_their_segments(a: list[int], b: list[int]) -> None:
    tokens, segments = framed(a, 64, b)
    whole = [CLS, *a, SEP, *b, SEP]
    assert tokens[: len(whole)].tolist() == whole
    assert (tokens[len(whole) :] == PAD).all()
    assert segments.sum() == len(b) + 1
    assert tokens[segments == 1].tolist() == [*b, SEP]


@given(st.integers(0, 40), st.integers(0, 40), st.integers(4, 20))
def test_frames_cut_the_longer_text_first(a: int, b: int, time: int) -> None:
    tokens, segments = framed([7] * a, time, [8] * b)
    kept_a, kept_b = int((tokens == 7).sum()), int((tokens == 8).sum())
    assert kept_a + kept_b == min(a + b, time - 3)
    assert (tokens == SEP).sum() == 2
    if kept_a < a and kept_b < b:
        assert abs(kept_a - kept_b) <= 1


def test_word_pieces_spell_words_and_refuse_too_few() -> None:
    units = WordPieces.train([TEXT] * 3, 60)
    assert len(units.encode("the")) == 1
    assert len(units.encode("The DOG")) == 2
    assert len(units.encode("thedog")) > 1
    assert min(units.encode("[MASK] dog")) > MASK  # what a text says is no special token
    with pytest.raises(DataError, match="too few"):
        WordPieces.train([TEXT] * 3, 20)


def test_a_frame_without_room_is_refused() -> None:
    with pytest.raises(DataError, match="no room"):
        framed([7], 2)


@given(st.integers(0, 2**32), st.integers(0, 30))
def test_hidden_words_are_asked_for_where_they_stood(seed: int, length: int) -> None:
    rng = np.random.default_rng(seed)
    tokens = np.full((4, 32), PAD)
    tokens[:, 0] = CLS
    tokens[:, 1 : 1 + length] = rng.integers(FIRST, 50, (4, length))
    seen, words, places = hide_words(tokens, 50, rng)
    for row in range(4):
        asked = words[row] >= 0
        assert asked.sum() == (min(5, max(1, round(0.15 * length))) if length else 0)
        at = places[row][asked]
        assert len(set(at.tolist())) == len(at)
        np.testing.assert_array_equal(tokens[row][at], words[row][asked])
        rest = np.setdiff1d(np.arange(32), at)
        np.testing.assert_array_equal(seen[row][rest], tokens[row][rest])


def test_of_hidden_words_80_10_10_per_cent_are_masked_random_and_kept() -> None:
    rng = np.random.default_rng(0)
    tokens = rng.integers(FIRST, 1000, (4000, 40))
    seen, words, places = hide_words(tokens, 1000, rng)
    rows, at = np.nonzero(words >= 0)
    shown = seen[rows, places[rows, at]]
    assert len(rows) == 4000 * 6  # 15 % of 40
    assert (shown == MASK).mean() == pytest.approx(0.8, abs=0.01)
    assert (shown == words[rows, at]).mean() == pytest.approx(0.1, abs=0.01)
    counts = np.bincount(places[rows, at], minlength=40) / len(rows)
    np.testing.assert_allclose(counts, 1 / 40, atol=0.005)  # every place alike
