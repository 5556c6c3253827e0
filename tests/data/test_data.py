"""Texts, tokenizers, windows, bigrams."""

from __future__ import annotations

from collections import Counter
from math import log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tinygrad_tx.data import (
    ByteTokenizer,
    CharTokenizer,
    Windows,
    bigram_loss,
    default_text,
    load_tokenizer,
    make_tokenizer,
    read_text,
    split,
)
from tinygrad_tx.errors import DataError

TEXT = "注意力机制 attention is all you need. " * 20


@pytest.mark.parametrize("kind", ["byte", "char", "bpe"])
def test_tokenizers_give_back_what_they_took_and_survive_a_file(kind: str) -> None:
    tokenizer = make_tokenizer(kind, TEXT, 300)
    tokens = tokenizer.encode(TEXT)
    assert tokens.dtype == np.int64
    assert tokens.max() < tokenizer.vocab_size
    again = load_tokenizer(tokenizer.to_json())
    np.testing.assert_array_equal(again.encode(TEXT), tokens)
    assert again.decode(tokens) == TEXT


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_bytes_and_bpe_take_any_text(text: str) -> None:
    for tokenizer in (ByteTokenizer(), _bpe):
        assert tokenizer.decode(tokenizer.encode(text)) == text


_bpe = make_tokenizer("bpe", TEXT, 300)


def test_unknown_characters_are_named() -> None:
    with pytest.raises(DataError, match=r"'é' \(U\+00E9\)"):
        CharTokenizer.train("abc").encode("é")


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"kind": "word"}', '{"kind": "bpe"}'])
def test_damaged_tokenizers_are_refused(text: str) -> None:
    with pytest.raises(DataError, match="tokenizer"):
        load_tokenizer(text)


@pytest.mark.parametrize(
    ("raw", "message"),
    [(b"", "is empty"), (b" \n", "is empty"), ("中文".encode("gb18030"), "is not UTF-8")],
)
def test_unusable_files_are_refused(tmp_path: Path, raw: bytes, message: str) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=message):
        read_text(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_text(tmp_path)


def test_the_default_text_is_real() -> None:
    text = default_text()
    assert len(text) > 400_000
    assert "The following identifiers are used as reserved words" in text


@given(st.integers(2, 200), st.integers(1, 5), st.integers(1, 20))
def test_windows_are_runs_of_the_text(length: int, batch: int, context: int) -> None:
    tokens = np.arange(length)
    if length <= context:
        with pytest.raises(DataError, match="too few"):
            Windows(tokens, batch, context)
        return
    windows = Windows(tokens, batch, context)
    for x, y in (windows.draw(), *windows.in_order()):
        assert x.shape == y.shape == (batch, context)
        np.testing.assert_array_equal(y, x + 1)
        np.testing.assert_array_equal(np.diff(x), 1)


def test_draws_go_on_from_a_saved_state() -> None:
    windows = Windows(np.arange(1000), 3, 7)
    windows.draw()
    state = windows.state()
    expected = [windows.draw()[0] for _ in range(5)]
    other = Windows(np.arange(1000), 3, 7, seed=9)
    other.restore(state)
    np.testing.assert_array_equal([other.draw()[0] for _ in range(5)], expected)


def test_bigram_loss_agrees_with_counting_by_hand() -> None:
    train, held = np.array([0, 1, 0, 1, 1, 2, 0, 1]), np.array([0, 1, 1, 2, 2])
    pairs = Counter(zip(train[:-1].tolist(), train[1:].tolist(), strict=True))
    before = Counter(train[:-1].tolist())
    single = Counter(train.tolist())
    total = 0.0
    for a, b in zip(held[:-1].tolist(), held[1:].tolist(), strict=True):
        unigram = (single[b] + 1) / (len(train) + 3)
        total -= log((pairs[a, b] + 0.3 * 3 * unigram) / (before[a] + 0.3 * 3))
    assert bigram_loss(train, held, 3, (0.3,)) == pytest.approx(total / 4, rel=1e-12)


def test_split_keeps_every_token_in_order() -> None:
    train, held = split(np.arange(101))
    np.testing.assert_array_equal(np.concatenate([train, held]), np.arange(101))
    assert len(held) == 10
