"""Units for encoders: characters or word pieces behind the special tokens, framed and padded."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
from tokenizers import Tokenizer as HubTokenizer, models, normalizers, pre_tokenizers, trainers

from tinygrad_tx.errors import DataError, explain

__all__ = [
    "CLS",
    "FIRST",
    "MASK",
    "PAD",
    "SEP",
    "SPECIAL",
    "UNKNOWN",
    "CharacterUnits",
    "Units",
    "WordPieces",
    "WordUnits",
    "framed",
]

SPECIAL = ("[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]")
PAD, CLS, SEP, MASK, UNKNOWN = range(5)
FIRST = len(SPECIAL)
"""The first token that is no special one."""

Ints = np.ndarray[Any, np.dtype[np.int64]]


class Units(Protocol):
    """Text to tokens in [0, vocab_size); the special ones come first, in the order of SPECIAL."""

    @property
    def vocab_size(self) -> int: ...

    def encode(self, text: str) -> list[int]:
        """Without special tokens, but [UNK] for what is not known."""
        ...

    def to_json(self) -> str: ...


class CharacterUnits:
    """One token for each of the commonest characters, [UNK] for others."""

    def __init__(self, alphabet: str) -> None:
        self.alphabet = alphabet
        self._index = {c: FIRST + i for i, c in enumerate(alphabet)}

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int) -> CharacterUnits:
        """The commonest characters of `texts`; of equally common ones the first in Unicode."""
        counts = Counter(c for text in texts for c in text if not c.isspace())
        ordered = sorted(counts, key=lambda c: (-counts[c], c))
        return cls("".join(ordered[: vocab_size - FIRST]))

    @property
    def vocab_size(self) -> int:
        return FIRST + len(self.alphabet)

    def encode(self, text: str) -> list[int]:
        return [self._index.get(c, UNKNOWN) for c in text if not c.isspace()]

    def to_json(self) -> str:
        return json.dumps({"kind": "characters", "alphabet": self.alphabet}, ensure_ascii=False)


class WordUnits:
    """One token for each word of a given list, [UNK] for others; words stand between spaces."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self._index = {w: FIRST + i for i, w in enumerate(self.words)}

    @property
    def vocab_size(self) -> int:
        return FIRST + len(self.words)

    def encode(self, text: str) -> list[int]:
        return [self._index.get(w, UNKNOWN) for w in text.split()]

    def decode(self, tokens: Iterable[int]) -> str:
        """The words with spaces between; padding is left out."""
        every = (*SPECIAL, *self.words)
        return " ".join(every[int(t)] for t in tokens if int(t) != PAD)

    def to_json(self) -> str:
        return json.dumps({"kind": "words", "words": self.words}, ensure_ascii=False)


class WordPieces:
    """Lower-cased word pieces (Wu et al. 2016, section 4.1), learnt by the tokenizers library."""

    def __init__(self, vocabulary: dict[str, int]) -> None:
        self._inner = _bert(models.WordPiece(vocabulary, unk_token=SPECIAL[UNKNOWN]))

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int) -> WordPieces:
        """The same pieces for the same texts. Errors: DataError for too few to spell all words."""
        given = list(texts)
        learner = _bert(models.WordPiece(unk_token=SPECIAL[UNKNOWN]))
        # The library numbers the letters inside words in an order that changes from run to run;
        # given as special tokens they keep ours.
        inside = sorted({f"##{c}" for word in _words(learner, given) for c in word[1:]})
        trainer = trainers.WordPieceTrainer(
            vocab_size=vocab_size, special_tokens=[*SPECIAL, *inside], show_progress=False
        )
        learner.train_from_iterator(given, trainer)
        if learner.get_vocab_size() > vocab_size:
            what = f"{vocab_size} pieces are too few: the letters alone are "
            raise DataError(explain("WordPieces", f"{what}{learner.get_vocab_size()}"))
        return cls(learner.get_vocab())

    @property
    def vocab_size(self) -> int:
        return int(self._inner.get_vocab_size())

    def encode(self, text: str) -> list[int]:
        return list(self._inner.encode(text, add_special_tokens=False).ids)

    def to_json(self) -> str:
        described = json.loads(self._inner.to_str())
        return json.dumps({"kind": "wordpiece", "tokenizer": described}, ensure_ascii=False)


def _bert(model: models.Model) -> HubTokenizer:
    """With BERT's way of lower-casing and of telling words apart."""
    made = HubTokenizer(model)
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return made


def _words(tokenizer: HubTokenizer, texts: Iterable[str]) -> set[str]:
    normal, cut = tokenizer.normalizer, tokenizer.pre_tokenizer
    return {word for text in texts for word, _ in cut.pre_tokenize_str(normal.normalize_str(text))}


def framed(
    first: Sequence[int], time: int, second: Sequence[int] | None = None
) -> tuple[Ints, Ints]:
    """[CLS] first [SEP] (second [SEP]), cut and padded: tokens and segments, each (time,).

    Of two texts the longer is cut first, as in the authors' code. Devlin et al. 2019, figure 2.
    """
    room = time - (2 if second is None else 3)
    if room < 1:
        what = f"time {time} leaves no room for text"
        raise DataError(explain("framed", what))
    a, b = list(first), list(second or [])
    keep_b = min(len(b), max(room // 2, room - len(a)))
    a, b = a[: room - keep_b], b[:keep_b]
    whole = [CLS, *a, SEP] + ([*b, SEP] if second is not None else [])
    tokens = np.full(time, PAD, np.int64)
    tokens[: len(whole)] = whole
    segments = np.zeros(time, np.int64)
    segments[len(a) + 2 : len(whole)] = 1
    return tokens, segments
