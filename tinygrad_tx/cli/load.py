"""A model and its tokenizer out of a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tinygrad_tx.data import Tokenizer, load_tokenizer
from tinygrad_tx.errors import CheckpointError, explain
from tinygrad_tx.models import GPT, GPTConfig, from_package
from tinygrad_tx.models.causal import CausalModel
from tinygrad_tx.models.published.packages import PACKAGES
from tinygrad_tx.prompt import load_tuned
from tinygrad_tx.train.run import RunFolder

__all__ = ["is_package", "load_model", "load_run", "model_of", "tokenizer_of", "with_tuned"]


def model_of(settings: dict[str, Any], run: RunFolder) -> GPT:
    """The untrained model that `config.json` describes. Errors: CheckpointError."""
    try:
        return GPT(GPTConfig(**settings["model"]))
    except (KeyError, TypeError, ValueError) as error:
        what = f"does not describe a model: {error}"
        raise CheckpointError(explain(str(run.config), what)) from None


def tokenizer_of(run: RunFolder) -> Tokenizer:
    """Errors: CheckpointError, DataError."""
    try:
        return load_tokenizer(run.tokenizer.read_text(encoding="utf-8"))
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        raise CheckpointError(explain(str(run.tokenizer), what)) from None


def is_package(name: str) -> bool:
    """Whether it names published weights that `import` knows, or begins such a name."""
    return not Path(name).exists() and any(known.startswith(name) for known in PACKAGES)


def load_model(name: str) -> tuple[Any, Any]:
    """A model and its tokenizer: of a run folder, or of published weights by their name.

    Errors: CheckpointError, DataError.
    """
    return from_package(name) if is_package(name) else load_run(Path(name))


def load_run(path: Path) -> tuple[GPT, Tokenizer]:
    """The trained model and its tokenizer. Errors: CheckpointError, DataError."""
    run = RunFolder(path)
    model = model_of(run.read_config(), run)
    model.load_state_dict(run.load_weights())
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
