"""tinygrad-tx train: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinygrad_tx.cli.completion import TOKENIZERS, among
from tinygrad_tx.cli.job import Options, new_job, old_job, run_job
from tinygrad_tx.cli.report import Screen, write_report
from tinygrad_tx.distributed import join
from tinygrad_tx.errors import CheckpointError, DataError, explain
from tinygrad_tx.train import RunFolder
from tinygrad_tx.train.guard import POLICIES

__all__ = ["DEFAULT_OUT", "train"]

DEFAULT_OUT = Path("runs/gpt")


def train(
    text: Annotated[Path | None, typer.Option(help="Your own text, UTF-8.")] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(help="A folder of `data prepare`; more of them with shares, as DIR=0.3."),
    ] = None,
    documents: Annotated[
        bool, typer.Option("--documents", help="With --data: no window crosses a document's end.")
    ] = False,
    out: Annotated[Path, typer.Option(help="The run folder.")] = DEFAULT_OUT,
    start: Annotated[
        Path | None,
        typer.Option("--start-from", help="Fine-tune the model of this run folder."),
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(help="char, byte or bpe.  [char]", autocompletion=among(TOKENIZERS)),
    ] = None,
    vocab_size: Annotated[int | None, typer.Option(min=256, help="Units of bpe.  [512]")] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Training steps.  [1800; 600 with --start-from]")
    ] = None,
    layers: Annotated[int | None, typer.Option(min=1, help="Blocks.  [4]")] = None,
    heads: Annotated[int | None, typer.Option(min=1, help="Attention heads.  [4]")] = None,
    width: Annotated[int | None, typer.Option(min=1, help="Residual stream.  [128]")] = None,
    context: Annotated[int | None, typer.Option(min=1, help="Tokens seen.  [128]")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Windows a step.  [16]")] = None,
    dropout: Annotated[
        float | None, typer.Option(min=0.0, max=0.99, help="For small texts.  [0]")
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(min=0.0, help="At its peak.  [0.002; 0.0005 with --start-from]"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Weights, batches and samples.")] = 0,
    on_bad: Annotated[
        str,
        typer.Option(
            help="What a NaN or a leap of the loss leads to: stop, skip, rollback.",
            autocompletion=among(POLICIES),
        ),
    ] = "stop",
    spike: Annotated[
        float, typer.Option(min=0, help="A loss above so many times the usual is bad; 0: never.")
    ] = 0.0,
    accumulate: Annotated[
        int, typer.Option(min=1, help="Batches in a step: their gradients are added up.")
    ] = 1,
    average: Annotated[
        float, typer.Option(help="Decay of a moving average of the weights, as 0.999; 0: none.")
    ] = 0.0,
    patience: Annotated[
        int, typer.Option(min=0, help="Validations without a new best before it ends; 0: never.")
    ] = 0,
    validate_every: Annotated[
        int | None, typer.Option(min=1, help="Steps.  [a quarter of all, at most 250]")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A small model, some seconds.")] = False,
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
    Example: tinygrad-tx train --text novel.txt --out runs/novel
    Larger than memory: tinygrad-tx data prepare books --out data/books, then
    tinygrad-tx train --data data/books --out runs/books
    By two processes: mpirun -n 2 tinygrad-tx train --out runs/novel
    Fine-tuning: tinygrad-tx train --start-from runs/novel --text letters.txt --out runs/letters
    """
    run, group = RunFolder(out), join(distributed)
    screen = Screen(quiet=not group.is_first)
    if resume:
        if start is not None:
            remedy = "leave one out: a run goes on from its own checkpoint"
            raise DataError(explain("--start-from", "does not go with --resume", remedy=remedy))
        job = old_job(run, group)
    else:
        if group.share(run.checkpoint.exists):
            what = "already holds a checkpoint"
            remedy = "go on from it with --resume, or choose another --out"
            raise CheckpointError(explain(f"run folder {out}", what, remedy=remedy))
        job = new_job(
            Options(
                text=text,
                data=tuple(data or ()),
                documents=documents,
                start=start,
                tokenizer=tokenizer,
                vocab_size=vocab_size,
                steps=steps,
                layers=layers,
                heads=heads,
                width=width,
                context=context,
                batch=batch,
                dropout=dropout,
                learning_rate=learning_rate,
                seed=seed,
                on_bad=on_bad,
                spike=spike,
                accumulate=accumulate,
                average=average,
                patience=patience,
                validate_every=validate_every,
                quick=quick,
            ),
            group,
        )
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
