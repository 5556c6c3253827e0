"""tinygrad-tx pretrain: BERT on hidden words and next sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinygrad_tx.cli.task_screen import run_task
from tinygrad_tx.tasks import pretraining

__all__ = ["pretrain"]


def pretrain(
    out: Annotated[Path, typer.Option(help="The run folder.")] = Path("runs/mlm"),
    quick: Annotated[bool, typer.Option("--quick", help="Small, some seconds, no figure.")] = False,
    seed: Annotated[int, typer.Option(help="Weights, batches, hidden words.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the folder --out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The outcome as JSON.")] = False,
) -> None:
    """Pretrains a BERT on the English reference inside Python; minutes on two cores.

    Leaves the folder --out: summary, picture, outcome as JSON, tokenizer, and the trained weights.

    \b
    Example:
      tinygrad-tx pretrain --out runs/mlm
    """
    run_task(pretraining.run, out, quick, seed, resume, as_json)
