"""tinygrad-tx finetune: a task on real data, against its baseline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinygrad_tx.cli.completion import among
from tinygrad_tx.cli.task_screen import run_task
from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.tasks import TASKS

__all__ = ["finetune"]

NAMES = ", ".join(TASKS)


def finetune(
    task: Annotated[str, typer.Argument(help=f"One of: {NAMES}.", autocompletion=among(TASKS))],
    out: Annotated[Path | None, typer.Option(help="The run folder.  [runs/TASK]")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small, some seconds, no figure.")] = False,
    seed: Annotated[int, typer.Option(help="Weights, batches, choice of labels.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the folder --out.")] = False,
    pretrained: Annotated[
        Path | None, typer.Option(help="A stage to start from, as runs/sentiment/pretraining.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The outcome as JSON.")] = False,
) -> None:
    """Trains on a task with real data and compares with a baseline; minutes on two cores.

    Leaves the folder --out: summary, picture, outcome as JSON, and a folder for each training.

    \b
    Example:
      tinygrad-tx finetune sentiment --out runs/sentiment
    """
    if task not in TASKS:
        what = f"{task!r} is not one of {NAMES}"
        raise DataError(explain("finetune", what))
    run_task(TASKS[task], out or Path("runs") / task, quick, seed, resume, as_json, pretrained)
