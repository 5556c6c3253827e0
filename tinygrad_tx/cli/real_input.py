"""The real input of a drawing: a text from the command line, or of the run's own corpus."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_tx.data import Tokenizer, default_text, read_text, split
from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.train.run import RunFolder

__all__ = ["corpus_of", "window_of"]

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
    """The held-out tokens of the text that the run was trained on.

    Errors: DataError where that text is gone, with the remedy; CheckpointError.
    """
    path = run.read_config().get("text")
    try:
        text = read_text(Path(path)) if path else default_text()
    except DataError as error:
        message = f"{str(error)[:-1]}; give an input of your own with --text."
        raise DataError(message) from None
    say(f"Input: the held-out part of {path or 'the language reference inside Python'}")
    _, held = split(tokenizer.encode(text))
    return held
