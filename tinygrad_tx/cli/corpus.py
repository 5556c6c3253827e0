"""What a run is trained on: a text in memory, or data sets of tokens that are larger."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_tx.cli.report import Material
from tinygrad_tx.data import (
    Batches,
    Mixture,
    Tokenizer,
    TokenSet,
    TokenWindows,
    Windows,
    bigram_loss,
    default_text,
    read_text,
    split,
)
from tinygrad_tx.distributed import ALONE, Group
from tinygrad_tx.errors import CheckpointError, DataError, explain
from tinygrad_tx.train import TrainConfig

__all__ = ["Corpus", "TokenData", "corpus_of", "digest_of", "held_out_of", "material_of"]

COUNTED = 1 << 22
"""Tokens to learn from that bigrams are counted in, at most."""


@dataclass(frozen=True)
class TokenData:
    """Data sets by weight, all with one tokenizer. documents: windows keep to one document."""

    sets: tuple[TokenSet, ...]
    weights: tuple[float, ...]
    documents: bool = False

    @classmethod
    def open(cls, given: Sequence[str], documents: bool = False) -> TokenData:
        """Of folders, each as DIR or DIR=WEIGHT. Errors: DataError."""
        sets, weights = [], []
        for one in given:
            path, sign, weight = one.rpartition("=")
            if not sign or Path(one).exists():
                path, weight = one, "1"
            try:
                weights.append(float(weight))
            except ValueError:
                remedy = "give a folder, or a folder and its weight as in: data/books=0.3"
                what = f"{one!r} ends in no number"
                raise DataError(explain("--data", what, remedy=remedy)) from None
            sets.append(TokenSet.open(path))
        for other in sets[1:]:
            if other.tokenizer.to_json() != sets[0].tokenizer.to_json():
                what = f"{other.path} has other tokens than {sets[0].path}"
                remedy = f"prepare it with --tokenizer {sets[0].path / 'tokenizer.json'}"
                raise DataError(explain("--data", what, remedy=remedy))
        return cls(tuple(sets), tuple(weights), documents)

    @classmethod
    def again(cls, known: Mapping[str, Any]) -> TokenData:
        """Of what `as_settings` wrote. Errors: DataError where one has changed."""
        try:
            names, digests = known["sets"], known["digests"]
            weights, documents = tuple(known["weights"]), bool(known["documents"])
        except (KeyError, TypeError) as error:
            raise CheckpointError(explain("config.json", f"has damaged data: {error}")) from None
        sets = tuple(TokenSet.open(name) for name in names)
        for one, digest in zip(sets, digests, strict=True):
            if one.digest != digest:
                what = "is another data set than the run was begun with"
                raise DataError(explain(str(one.path), what, remedy="put the old one back"))
        return cls(sets, weights, documents)

    def as_settings(self) -> dict[str, Any]:
        return {
            "sets": [str(s.path.resolve()) for s in self.sets],
            "digests": [s.digest for s in self.sets],
            "weights": list(self.weights),
            "documents": self.documents,
        }

    @property
    def name(self) -> str:
        return ", ".join(str(s.path) for s in self.sets)

    def windows(self, side: str, batch: int, context: int, seed: int = 0) -> Any:
        """TokenWindows of one data set, or a Mixture. Errors: DataError for too few tokens."""
        parts = [
            TokenWindows(getattr(s, side), batch, context, seed + i, self.documents)
            for i, s in enumerate(self.sets)
        ]
        return parts[0] if len(parts) == 1 else Mixture(parts, self.weights)


Corpus = str | TokenData


def corpus_of(text: str | None, data: Mapping[str, Any] | None, group: Group = ALONE) -> Corpus:
    """What settings name: the path of a text, None for the one inside Python; or data sets.

    A text is read by the first rank alone, since the others may be where the file is not; each
    opens data sets itself. Errors: DataError.
    """
    if data:
        return TokenData.again(data)
    read: str = group.share(lambda: read_text(Path(text)) if text else default_text())
    return read


def digest_of(corpus: Corpus) -> str:
    """Of all its content."""
    if isinstance(corpus, TokenData):
        return " ".join(s.digest for s in corpus.sets)
    return hashlib.sha256(corpus.encode()).hexdigest()


def held_out_of(corpus: Corpus, units: Tokenizer, batch: int, context: int) -> Batches:
    """The held-out part. Errors: DataError where it does not fit."""
    if not isinstance(corpus, TokenData):
        return Windows(split(units.encode(corpus))[1], batch, context)
    return corpus.windows("held_out", batch, context)  # type: ignore[no-any-return]  # either


def material_of(
    corpus: Corpus, source: str, units: Tokenizer, config: TrainConfig, context: int
) -> tuple[Batches, Batches, Material]:
    """Batches to learn from, batches held out, and what is known of both. Errors: DataError."""
    held_out = held_out_of(corpus, units, config.batch, context)
    if isinstance(corpus, TokenData):
        train = corpus.windows("learning", config.batch, context, config.seed)
        baseline, counted = _sampled_baseline(train, held_out, config, context, units.vocab_size)
        sides = [(s.learning, s.held_out) for s in corpus.sets]
        characters, learnt, held = (
            sum(a.characters + b.characters for a, b in sides),
            sum(a.tokens for a, _ in sides),
            sum(b.tokens for _, b in sides),
        )
        return train, held_out, Material(corpus.name, characters, learnt, held, baseline, counted)
    learning, held_tokens = split(units.encode(corpus))
    windows = Windows(learning, config.batch, context, config.seed)
    baseline = bigram_loss(learning, held_tokens, units.vocab_size)
    sizes = (len(corpus), len(learning), len(held_tokens))
    return windows, held_out, Material(source, *sizes, baseline)


def _sampled_baseline(
    train: Any, held_out: Any, config: TrainConfig, context: int, vocab_size: int
) -> tuple[float, int]:
    """(loss, tokens counted): bigrams of windows spread evenly over what is learnt from, on the
    very windows that the model is validated on."""
    most = max(1, COUNTED // (config.batch * context))
    learnt, held = (
        np.concatenate([_with_targets(pair) for pair in batches])
        for batches in (train.in_order(most), held_out.in_order(config.validation_batches))
    )
    return bigram_loss(learnt, held, vocab_size), learnt[:, 1:].size


def _with_targets(pair: tuple[Any, Any]) -> np.ndarray[Any, Any]:
    tokens, targets = pair
    return np.concatenate([tokens, targets[:, -1:]], axis=1)
