"""The experiments with prompts, by the name that the command line calls them."""

from __future__ import annotations

from collections.abc import Callable

from tinygrad_tx.prompt import compare, docstrings
from tinygrad_tx.tasks import Outcome, TaskConfig

__all__ = ["EXPERIMENTS"]

EXPERIMENTS: dict[str, Callable[[TaskConfig], Outcome]] = {
    "compare": compare.run,
    "docstrings": docstrings.run,
}
