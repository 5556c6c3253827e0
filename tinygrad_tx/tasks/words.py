"""Pretraining an encoder on masked words of unlabelled texts, and the loss that is left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.data import Batch, Examples, Units, framed, hide_words
from tinygrad_tx.data.units import PAD
from tinygrad_tx.models import BERT, BERTConfig
from tinygrad_tx.tasks.predict import predict
from tinygrad_tx.tasks.stage import load_stage, train_stage
from tinygrad_tx.tasks.task import TaskConfig
from tinygrad_tx.tensor import Tensor, cross_entropy
from tinygrad_tx.train import Result, TrainConfig

__all__ = ["Sizes", "encoded", "masked_word_losses", "masked_words", "pretrain_on"]

Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Sizes:
    """An encoder that two cores train in minutes."""

    vocab_size: int = 2000
    time: int = 48
    layers: int = 2
    heads: int = 4
    width: int = 128
    dropout: float = 0.1

    def model(self, vocab_size: int) -> BERTConfig:
        return BERTConfig(
            vocab_size, self.time, self.layers, self.heads, self.width, dropout=self.dropout
        )


def encoded(units: Units, texts: Iterable[str], time: int) -> Ints:
    """[CLS] text [SEP], cut and padded: (texts, time)."""
    return np.stack([framed(units.encode(text), time)[0] for text in texts])


def masked_words(tokens: Ints, vocab_size: int, batch: int, seed: int) -> Examples:
    """Batches for `BERT.loss`, with other words hidden each time a row comes."""

    def change(rows: Batch, rng: np.random.Generator) -> Batch:
        seen, words, places = hide_words(rows[0], vocab_size, rng)
        return seen, words, None, np.zeros_like(seen), seen != PAD, places  # type: ignore[return-value]  # no next sentence

    return Examples([tokens], batch, seed, change)


def pretrain_on(
    config: TaskConfig,
    model: BERT,
    train: Ints,
    held_out: Ints,
    steps: int,
    learning_rate: float = 1e-3,
    batch: int = 16,
) -> Result:
    """The stage `pretraining`: masked words alone; or the weights of `config.pretrained`.

    Errors: CheckpointError where those have other sizes.
    """
    if config.pretrained is not None:
        load_stage(config.pretrained, model)
        return Result()
    vocab = model.config.vocab_size
    every = max(1, steps // 10)
    training = TrainConfig(
        steps, batch, learning_rate, steps // 10, 0.05, 1.0, every, 8, config.seed
    )
    return train_stage(
        config,
        "pretraining",
        model,
        masked_words(train, vocab, batch, config.seed),
        masked_words(held_out, vocab, batch, config.seed),
        training,
    )


def masked_word_losses(model: BERT, tokens: Ints, seed: int = 0) -> np.ndarray[Any, Any]:
    """The mean loss in nats of hidden words in each row, the same words at each call: (rows,)."""
    rng = np.random.default_rng(seed)
    seen, words, places = hide_words(tokens, model.config.vocab_size, rng)

    def losses(seen: Tensor, words: Tensor, places: Tensor) -> Tensor:
        hidden = model.encoder(seen, None, seen != PAD)
        return cross_entropy(model.words_at(hidden, places), words, reduction="none")

    found = predict(model, losses, (seen, words, places))
    asked: Sequence[int] = np.maximum((words >= 0).sum(1), 1)
    return np.asarray(found.sum(1) / asked)
