"""tinygrad-tx train: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinygrad_tx.cli.job import new_job, old_job, run_job
from tinygrad_tx.cli.options import Options, spread
from tinygrad_tx.cli.report import Screen, write_report
from tinygrad_tx.distributed import join
from tinygrad_tx.errors import CheckpointError, DataError, explain
from tinygrad_tx.train import RunFolder

__all__ = ["DEFAULT_OUT", "train"]

DEFAULT_OUT = Path("runs/gpt")


@spread
def train(
    options: Options,
    out: Annotated[Path, typer.Option(help="The run folder.")] = DEFAULT_OUT,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write what TensorBoard reads.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the folder --out.")] = False,
    distributed: Annotated[
        bool, typer.Option("--distributed", help="Ask MPI, also where mpirun is not recognised.")
    ] = False,
) -> None:
    """Trains a GPT on text: the English reference inside Python, or your own.

    Leaves the folder --out: configuration, checkpoint, metrics, record, pictures, summary.

    \b
    Examples: your own text, more of it than memory, by two processes, fine-tuning:
      tinygrad-tx train --text novel.txt --out runs/novel
      tinygrad-tx data prepare books --out data/books && tinygrad-tx train --data data/books
      mpirun -n 2 tinygrad-tx train --text novel.txt --out runs/novel
      tinygrad-tx train --start-from runs/novel --text letters.txt --out runs/letters
    """
    run, group = RunFolder(out), join(distributed)
    screen = Screen(quiet=not group.is_first)
    if resume:
        if options.start is not None:
            remedy = "leave one out: a run goes on from its own checkpoint"
            raise DataError(explain("--start-from", "does not go with --resume", remedy=remedy))
        job = old_job(run, group)
    else:
        if group.share(run.checkpoint.exists):
            what = "already holds a checkpoint"
            remedy = "go on from it with --resume, or choose another --out"
            raise CheckpointError(explain(f"run folder {out}", what, remedy=remedy))
        job = new_job(options, group)
    if tensorboard:
        job.settings["tensorboard"] = True  # also when it goes on some day
    trained = run_job(job, run, resume, screen, group)
    if not group.is_first:
        return
    result = trained.result
    if result.recovered:
        screen.say(f"Went on from a little earlier: {result.recovered}")
    if result.passed_over.total > len(result.passed_over):
        screen.say(f"{result.passed_over.total} steps failed; the last of them:")
    for step in result.passed_over:
        screen.say(f"Step {step['step']} failed ({step['policy']}): {step['reason']}")
    if result.stopped:
        screen.say(f"Ended after step {result.step}: {result.stopped}")
    if result.interrupted:
        screen.say(
            f"Stopped after step {result.step}; all is saved. Go on with: "
            f"tinygrad-tx train --resume --out {run.path}"
        )
    write_report(
        screen,
        run,
        trained.model,
        job.units,
        result,
        trained.record,
        trained.held_out,
        bool(job.settings.get("tensorboard")),
    )
