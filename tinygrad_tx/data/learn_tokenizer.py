"""A tokenizer learnt from a stream of documents: one character set, or a sample of bounded size."""

from __future__ import annotations

import hashlib
import heapq
from pathlib import Path
from typing import Protocol

from tinygrad_tx.data.pretrained import pretrained_tokenizer
from tinygrad_tx.data.tokenizers import (
    BPETokenizer,
    ByteTokenizer,
    CharTokenizer,
    Tokenizer,
    load_tokenizer,
)
from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.untrusted import parse_json, read_text

__all__ = ["EVERY", "LEARNING", "NONE", "Learner", "Sample", "learner_of"]

EVERY, LEARNING, NONE = "every", "learning", "none"
SAMPLE = 10_000_000
"""Characters that merges are learnt from, at most."""


class Learner(Protocol):
    """reads: the documents it wants to see: EVERY one, those to learn from (LEARNING), or NONE."""

    reads: str

    def read(self, text: str) -> None: ...

    def made(self) -> Tokenizer: ...


class Sample:
    """The documents with the smallest hashes, as many as `most` characters hold: a random sample
    that is the same in whatever order they come, with no document twice."""

    def __init__(self, most: int = SAMPLE) -> None:
        self.most, self.characters = most, 0
        self._heap: list[tuple[int, str]] = []  # by falling hash: the next to go is first
        self._hashes: set[int] = set()

    def read(self, text: str) -> None:
        key = -int.from_bytes(hashlib.sha256(b"sample " + text.encode()).digest()[:16])
        if key in self._hashes:
            return
        if self.characters >= self.most and key < self._heap[0][0]:
            return
        heapq.heappush(self._heap, (key, text))
        self._hashes.add(key)
        self.characters += len(text)
        while len(self._heap) > 1 and self.characters - len(self._heap[0][1]) >= self.most:
            gone, text = heapq.heappop(self._heap)
            self._hashes.remove(gone)
            self.characters -= len(text)

    def texts(self) -> list[str]:
        return [text for _, text in sorted(self._heap, reverse=True)]


class _LearnsCharacters:
    reads = EVERY

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def read(self, text: str) -> None:
        self._seen.update(text)

    def made(self) -> Tokenizer:
        return CharTokenizer("".join(sorted(self._seen)))


class _LearnsMerges:
    reads = LEARNING

    def __init__(self, vocab_size: int) -> None:
        self._vocab_size, self._sample = vocab_size, Sample()

    def read(self, text: str) -> None:
        self._sample.read(text)

    def made(self) -> Tokenizer:
        return BPETokenizer.train("\n".join(self._sample.texts()), self._vocab_size)


class _Known:
    """Learns nothing; one of characters looks whether it knows them all. Errors: DataError."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._alphabet = frozenset(getattr(tokenizer, "alphabet", ""))
        self.reads = EVERY if self._alphabet else NONE

    def read(self, text: str) -> None:
        if not self._alphabet.issuperset(text):
            self._tokenizer.encode(text)  # which says what it does not know

    def made(self) -> Tokenizer:
        return self._tokenizer


def learner_of(kind: str, vocab_size: int) -> Learner:
    """For "char", "byte" or "bpe", or a tokenizer.json of ours or of Hugging Face.

    Errors: DataError.
    """
    if kind == "char":
        return _LearnsCharacters()
    if kind == "byte":
        return _Known(ByteTokenizer())
    if kind == "bpe":
        return _LearnsMerges(vocab_size)
    path = Path(kind)
    try:
        text = read_text(path)
        is_ours = "kind" in parse_json(text)
    except OSError as error:
        what = f"{kind!r} is not char, byte or bpe, and no file: {error.strerror}"
        raise DataError(explain("tokenizer", what)) from None
    except (ValueError, TypeError) as error:
        raise DataError(explain(f"tokenizer {path}", f"is damaged: {error}")) from None
    if not is_ours and path.name != "tokenizer.json":
        what = "is none of ours, and one of Hugging Face is called tokenizer.json"
        raise DataError(explain(f"tokenizer {path}", what))
    return _Known(load_tokenizer(text) if is_ours else pretrained_tokenizer(path.parent))
