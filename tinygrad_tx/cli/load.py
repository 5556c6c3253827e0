"""What the command line is asked to look at: run folders and published weights, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tinygrad_tx.errors import CheckpointError, explain
from tinygrad_tx.models import from_package, from_run
from tinygrad_tx.models.causal import CausalModel
from tinygrad_tx.models.published.packages import PACKAGES
from tinygrad_tx.prompt import load_tuned

__all__ = ["is_package", "load_model", "with_tuned"]


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
        what = "is not a run folder, nor weights that come as a package"
        remedy = f"train one with `tinygrad-tx train`, or give one of {', '.join(PACKAGES)}"
        raise CheckpointError(explain(name, what, remedy=remedy))
    return from_run(name)


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
