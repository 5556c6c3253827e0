"""Tasks: pretraining and fine-tuning on real data, each against a baseline.

`tx.tasks.NAME.run(TaskConfig(out)) -> Outcome`; `TASKS` has the functions by name.
"""

from collections.abc import Callable

from tinygrad_tx.tasks import (
    answering,
    arithmetic,
    forgetting,
    pretraining,
    sentiment,
    summarisation,
    tagging,
    translation,
    two_hops,
)
from tinygrad_tx.tasks.table import read_outcome, results, write_outcome
from tinygrad_tx.tasks.task import Figure, Outcome, Row, TaskConfig, Watch, bootstrap

__all__ = [
    "TASKS",
    "Figure",
    "Outcome",
    "Row",
    "TaskConfig",
    "Watch",
    "answering",
    "arithmetic",
    "bootstrap",
    "forgetting",
    "pretraining",
    "read_outcome",
    "results",
    "sentiment",
    "summarisation",
    "tagging",
    "translation",
    "two_hops",
    "write_outcome",
]

TASKS: dict[str, Callable[[TaskConfig], Outcome]] = {
    "pretrain": pretraining.run,
    "sentiment": sentiment.run,
    "tagging": tagging.run,
    "forgetting": forgetting.run,
    "translation": translation.run,
    "summarisation": summarisation.run,
    "question-answering": answering.run,
    "arithmetic": arithmetic.run,
    "two-hops": two_hops.run,
}
"""The tasks by the name of their command."""
