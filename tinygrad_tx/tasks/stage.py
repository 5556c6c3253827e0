"""A stage of a task: one training in a run folder of its own, read back if it was done before."""

from __future__ import annotations

import time
from pathlib import Path

from tinygrad_tx.data import Batches
from tinygrad_tx.errors import CheckpointError, explain
from tinygrad_tx.nn import Module
from tinygrad_tx.optim import Rates, same
from tinygrad_tx.tasks.task import TaskConfig
from tinygrad_tx.train import Result, RunFolder, TrainConfig, fit

__all__ = ["load_stage", "open_task", "seconds_since", "train_stage"]


def open_task(config: TaskConfig) -> RunFolder:
    """The folder of the task. Errors: CheckpointError where it holds one, not resumed."""
    run = RunFolder(config.out)
    if not config.resume and (any(run.path.glob("*/checkpoint.safetensors"))):
        what = "already holds stages of a task"
        remedy = "go on from them with --resume, or choose another --out"
        raise CheckpointError(explain(f"run folder {run.path}", what, remedy=remedy))
    run.create()
    return run


def train_stage(
    config: TaskConfig,
    name: str,
    model: Module,
    train: Batches,
    held_out: Batches,
    training: TrainConfig,
    rates: Rates = same,
) -> Result:
    """Trains `model` in the folder `name` of the task; with `config.resume` goes on from there.

    Errors: those of `fit`; KeyboardInterrupt after Ctrl-C, with all saved.
    """
    run = RunFolder(config.out / name)
    resume = config.resume and run.checkpoint.exists()
    if not resume:
        run.create()
        run.metrics.unlink(missing_ok=True)
    with config.watch.stage(name, training.steps) as on_step:
        result = fit(model, train, held_out, training, run, resume, on_step, rates=rates)
    if result.interrupted:
        config.watch.say(f"Stopped in {name} after step {result.step}; go on with --resume.")
        raise KeyboardInterrupt
    return result


def seconds_since(began: float, *stages: float) -> float:
    """Of a task that began then: at least what its stages took, some of them in earlier calls."""
    return max(time.perf_counter() - began, sum(stages))


def load_stage(path: Path, model: Module) -> None:
    """The weights that a stage ended with. Errors: CheckpointError."""
    model.load_state_dict(RunFolder(path).load_weights())
