"""Tokenizers: text to integers and back, as bytes, characters or byte-pair units learnt from it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from tokenizers import Tokenizer as HubTokenizer, decoders, models, pre_tokenizers, trainers

from tinygrad_tx.data.descriptions import library_errors, tokenizer_of_json
from tinygrad_tx.data.pretrained import PretrainedTokenizer
from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.untrusted import parse_json

__all__ = [
    "BPETokenizer",
    "ByteTokenizer",
    "CharTokenizer",
    "Tokenizer",
    "load_tokenizer",
    "make_tokenizer",
]

Tokens = np.ndarray[Any, np.dtype[np.int64]]


class Tokenizer(Protocol):
    """Text to tokens in [0, vocab_size) and back."""

    kind: str

    @property
    def vocab_size(self) -> int: ...

    def encode(self, text: str) -> Tokens: ...

    def decode(self, tokens: Sequence[int] | Tokens) -> str: ...

    def to_json(self) -> str:
        """All that `load_tokenizer` needs."""
        ...


class ByteTokenizer:
    """The 256 bytes of UTF-8: any text, nothing learnt."""

    kind = "byte"
    vocab_size = 256

    def encode(self, text: str) -> Tokens:
        """Errors: DataError for what is no text."""
        return np.frombuffer(_text(text).encode(), np.uint8).astype(np.int64)

    def decode(self, tokens: Sequence[int] | Tokens) -> str:
        """Text; bytes that are no UTF-8 become U+FFFD. Errors: DataError for other tokens."""
        return bytes(_known(tokens, self.vocab_size)).decode(errors="replace")

    def to_json(self) -> str:
        return json.dumps({"kind": self.kind})


class CharTokenizer:
    """One token for each character of an alphabet."""

    kind = "char"

    def __init__(self, alphabet: str) -> None:
        self.alphabet = alphabet
        self._index = {c: i for i, c in enumerate(alphabet)}

    @classmethod
    def train(cls, text: str) -> CharTokenizer:
        return cls("".join(sorted(set(text))))

    @property
    def vocab_size(self) -> int:
        return len(self.alphabet)

    def encode(self, text: str) -> Tokens:
        """Errors: DataError for a character outside the alphabet."""
        try:
            return np.fromiter((self._index[c] for c in _text(text)), np.int64, len(text))
        except KeyError as missing:
            char = missing.args[0]
            what = f"{char!r} (U+{ord(char):04X}) is not among the {self.vocab_size} characters"
            remedy = "leave it out, or train with --tokenizer byte or bpe, which take any text"
            raise DataError(explain("encode", what, remedy=remedy)) from None

    def decode(self, tokens: Sequence[int] | Tokens) -> str:
        """Errors: DataError for a token of another tokenizer."""
        return "".join(self.alphabet[t] for t in _known(tokens, self.vocab_size))

    def to_json(self) -> str:
        return json.dumps({"kind": self.kind, "alphabet": self.alphabet}, ensure_ascii=False)


class BPETokenizer:
    """Byte-level byte-pair encoding (Sennrich et al. 2016; Radford et al. 2019)."""

    kind = "bpe"

    def __init__(self, inner: HubTokenizer) -> None:
        self._inner = inner

    @classmethod
    def train(cls, text: str, vocab_size: int = 512) -> BPETokenizer:
        """Merges learnt from `text`; 256 bytes and at most `vocab_size` - 256 merges."""
        if vocab_size < 256:
            what = f"vocab_size {vocab_size} is below the 256 bytes that any text may need"
            raise DataError(explain("BPETokenizer", what))
        inner = HubTokenizer(models.BPE())
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        inner.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        inner.train_from_iterator(text.splitlines(keepends=True), trainer)
        return cls(inner)

    @property
    def vocab_size(self) -> int:
        return int(self._inner.get_vocab_size())

    def encode(self, text: str) -> Tokens:
        with library_errors():
            return np.array(self._inner.encode(_text(text)).ids, np.int64)

    def decode(self, tokens: Sequence[int] | Tokens) -> str:
        with library_errors():
            return str(self._inner.decode(_known(tokens, self.vocab_size)))

    def to_json(self) -> str:
        return json.dumps({"kind": self.kind, "tokenizer": json.loads(self._inner.to_str())})


def make_tokenizer(kind: str, text: str, vocab_size: int = 512) -> Tokenizer:
    """A tokenizer of `kind` ("byte", "char" or "bpe") for `text`."""
    if kind == "byte":
        return ByteTokenizer()
    if kind == "char":
        return CharTokenizer.train(text)
    if kind == "bpe":
        return BPETokenizer.train(text, vocab_size)
    raise DataError(explain("tokenizer", f"{kind!r} is not one of byte, char, bpe"))


def load_tokenizer(text: str) -> Tokenizer:
    """The tokenizer that `to_json` wrote. Errors: DataError for anything else."""
    try:
        found = parse_json(text)
        kind = found["kind"]
        if kind == "byte":
            return ByteTokenizer()
        if kind == "char" and isinstance(found["alphabet"], str):
            return CharTokenizer(found["alphabet"])
        if kind == "bpe":
            return BPETokenizer(tokenizer_of_json(found["tokenizer"]))
        if kind == PretrainedTokenizer.kind:
            return PretrainedTokenizer.from_json(found)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(explain("tokenizer", f"cannot be read: {error}")) from None
    raise DataError(explain("tokenizer", f"{kind!r} is not one of byte, char, bpe, pretrained"))


def _text(text: str) -> str:
    """Errors: DataError for what is no text."""
    if not isinstance(text, str):
        remedy = "decode bytes first: text.decode(); encode one text of a list after the other"
        what = f"takes text, not {type(text).__name__}"
        raise DataError(explain("encode", what, remedy=remedy))
    return text


def _known(tokens: Sequence[int] | Tokens, vocab_size: int) -> list[int]:
    """Tokens as Python numbers. Errors: DataError for what no text has."""
    found = np.asarray(tokens)
    if found.size and (found.dtype.kind not in "iu" or found.ndim != 1):
        what = f"takes the tokens of one text, not {found.dtype}{list(found.shape)}"
        raise DataError(explain("decode", what, remedy="decode one text after the other"))
    outside = found[(found < 0) | (found >= vocab_size)] if found.size else found
    if outside.size:
        what = f"token {int(outside[0])} is not one of the {vocab_size}"
        remedy = "decode with the tokenizer that the model was trained with"
        raise DataError(explain("decode", what, remedy=remedy))
    return [int(t) for t in found]
