"""A model and its tokenizer out of the folder of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinygrad_tx.data import Tokenizer, load_tokenizer
from tinygrad_tx.errors import CheckpointError, explain
from tinygrad_tx.models.gpt import GPT, GPTConfig
from tinygrad_tx.models.published.folder import check_believable
from tinygrad_tx.nn.parameters import by_shape_alone
from tinygrad_tx.train import RunFolder
from tinygrad_tx.untrusted import memory_of_machine, read_text

__all__ = ["filled_model", "from_run", "model_of", "tokenizer_of"]

MOST_ARRAYS = 10_000
"""Of a model to be trained; the largest published one has 105 layers."""


def from_run(path: Path | str) -> tuple[GPT, Tokenizer]:
    """The model that `tinygrad-tx train` left in a folder, and the tokenizer of its text.

    Its weights are the best ones where the run kept them, else their average, else the last; it
    is in evaluation mode. Errors: CheckpointError, DataError.
    """
    run = RunFolder(path)
    model = filled_model(run.read_config(), run, run.load_weights())
    model.eval()
    return model, tokenizer_of(run)


def model_of(settings: dict[str, Any], run: RunFolder) -> GPT:
    """The untrained model that `config.json` describes.

    Errors: CheckpointError, also for a model that this machine cannot hold.
    """
    model = _by_shape(settings, run, MOST_ARRAYS)
    needed, there = 4 * model.num_parameters(), memory_of_machine()
    if needed > there:
        what = f"describes a model of {needed:,} bytes; this machine has {there:,}"
        raise CheckpointError(explain(str(run.config), what))
    return GPT(model.config)


def filled_model(settings: dict[str, Any], run: RunFolder, state: Mapping[str, Any]) -> GPT:
    """The model that `config.json` describes with these parameters; no others are made first.

    Errors: CheckpointError.
    """
    model = _by_shape(settings, run, len(state))
    model.load_state_dict(state)
    return model


def _by_shape(settings: dict[str, Any], run: RunFolder, arrays: int) -> GPT:
    try:
        config = GPTConfig(**settings["model"])
        check_believable(config, arrays)
        with by_shape_alone():
            return GPT(config)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        what = f"does not describe a model: {str(error).rstrip('.')}"
        raise CheckpointError(explain(str(run.config), what)) from None


def tokenizer_of(run: RunFolder) -> Tokenizer:
    """Errors: CheckpointError, DataError."""
    try:
        text = read_text(run.tokenizer)
    except (OSError, ValueError) as error:
        what = f"cannot be read: {getattr(error, 'strerror', error)}"
        raise CheckpointError(explain(str(run.tokenizer), what)) from None
    return load_tokenizer(text)
