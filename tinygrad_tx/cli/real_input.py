"""The real input of a drawing: a text from the command line, or of the run's own corpus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_tx.cli.corpus import TokenData, corpus_of as material_of
from tinygrad_tx.data import Tokenizer, split
from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.train.run import RunFolder

__all__ = ["corpus_of", "window_of"]

MOST = 1 << 16
"""Tokens of a data set."""

Tokens = np.ndarray[Any, np.dtype[np.int64]]


def window_of(tokens: Tokens, context: int, batch: int = 1) -> tuple[Tokens, Tokens]:
    """The first windows of `tokens` and what follows each token: (batch, time <= context).

    One token alone follows nothing: then the targets are empty. Errors: DataError for no tokens.
    """
    if not len(tokens):
        raise DataError(explain("--text", "is empty", remedy="give at least one character"))
    time = min(context, max(1, len(tokens) - 1))
    rows = min(batch, max(1, (len(tokens) - 1) // time))
    targets = tokens[1 : rows * time + 1]
    return tokens[: rows * time].reshape(rows, time), targets.reshape(rows, -1)


def corpus_of(run: RunFolder, tokenizer: Tokenizer, say: Callable[[str], None]) -> Tokens:
    """The held-out tokens of the text that the run was trained on; some, of data sets.

    Errors: DataError where that text is gone, with the remedy; CheckpointError.
    """
    settings = run.read_config()
    path = settings.get("text")
    try:
        corpus = material_of(path, settings.get("data"))
    except DataError as error:
        message = f"{str(error)[:-1]}; give an input of your own with --text."
        raise DataError(message) from None
    say(f"Input: the held-out part of {path or 'the language reference inside Python'}")
    if isinstance(corpus, TokenData):
        side = corpus.sets[0].held_out
        longest = max(range(len(side.shards)), key=lambda i: side.shards[i].tokens)
        count = min(side.shards[longest].tokens, MOST)
        return side.rows(np.array([longest]), np.array([0]), count).ravel()
    return split(tokenizer.encode(corpus))[1]
