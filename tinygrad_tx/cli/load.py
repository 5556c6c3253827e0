"""A model and its tokenizer out of a run folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinygrad_tx.data import Tokenizer, load_tokenizer
from tinygrad_tx.errors import CheckpointError, explain
from tinygrad_tx.models import GPT, GPTConfig, from_package
from tinygrad_tx.models.causal import CausalModel
from tinygrad_tx.models.published.folder import check_believable
from tinygrad_tx.models.published.packages import PACKAGES
from tinygrad_tx.nn.parameters import by_shape_alone
from tinygrad_tx.prompt import load_tuned
from tinygrad_tx.train.run import RunFolder
from tinygrad_tx.untrusted import memory_of_machine, read_text

__all__ = [
    "filled_model",
    "is_package",
    "load_model",
    "load_run",
    "model_of",
    "tokenizer_of",
    "with_tuned",
]

MOST_ARRAYS = 10_000
"""Of a model to be trained; the largest published one has 105 layers."""


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


def is_package(name: str) -> bool:
    """Whether it names published weights that `import` knows, or begins such a name."""
    return not Path(name).exists() and any(known.startswith(name) for known in PACKAGES)


def load_model(name: str) -> tuple[Any, Any]:
    """A model and its tokenizer: of a run folder, or of published weights by their name.

    Errors: CheckpointError, DataError.
    """
    if is_package(name):
        return from_package(name)
    if not Path(name).exists():
        what = "is no run folder, and no weights that come as a package"
        remedy = f"train one with `tinygrad-tx train`, or give one of {', '.join(PACKAGES)}"
        raise CheckpointError(explain(name, what, remedy=remedy))
    return load_run(Path(name))


def load_run(path: Path) -> tuple[GPT, Tokenizer]:
    """The trained model and its tokenizer. Errors: CheckpointError, DataError."""
    run = RunFolder(path)
    model = filled_model(run.read_config(), run, run.load_weights())
    model.eval()
    return model, tokenizer_of(run)


def with_tuned(model: Any, path: Path | None) -> Any:
    """The model behind the soft prompt or prefix of a file, if there is one.

    Errors: CheckpointError, also for a model that takes no prompt; ShapeError where its context is
    too short.
    """
    if path is None:
        return model
    if not isinstance(model, CausalModel):
        what = f"a {type(model).__name__} takes no trained prompt"
        raise CheckpointError(explain("--tuned", what, remedy="use one that writes: GPT, Llama"))
    return load_tuned(model, path)
