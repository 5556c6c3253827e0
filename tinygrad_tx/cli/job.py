"""A run that `train` or `search` is asked for: its settings, and the training that they mean."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tinygrad_tx.cli.corpus import Corpus, TokenData, corpus_of, material_of
from tinygrad_tx.cli.fine_tune import Start, after_training, check_text, start_from, with_parent
from tinygrad_tx.cli.options import Options
from tinygrad_tx.cli.report import Material, record_of
from tinygrad_tx.data import (
    Batches,
    Tokenizer,
    load_tokenizer,
    make_tokenizer,
)
from tinygrad_tx.distributed import ALONE, Group
from tinygrad_tx.errors import CheckpointError, DataError, explain
from tinygrad_tx.jit import Plan
from tinygrad_tx.models import GPT, GPTConfig
from tinygrad_tx.models.from_run import model_of, tokenizer_of
from tinygrad_tx.train import (
    Progress,
    Record,
    Result,
    RunFolder,
    TensorBoard,
    TrainConfig,
    fit,
    source_name,
    write_record,
)

__all__ = ["Job", "Trained", "Watch", "new_job", "old_job", "run_job"]

SIZES = {"layers": 4, "heads": 4, "width": 128, "context": 128, "batch": 16, "steps": 1800}
QUICK = {"layers": 2, "heads": 2, "width": 64, "context": 64, "batch": 8, "steps": 600}
RATE = 2e-3
FINE_TUNING_STEPS, FINE_TUNING_RATE = 600, 5e-4
"""Weights that have learnt move less, so that less of it is forgotten."""


@dataclasses.dataclass(frozen=True)
class Job:
    """settings: of config.json. parent: what it is fine-tuned from, for a new run alone."""

    settings: dict[str, Any]
    units: Tokenizer
    corpus: Corpus
    parent: Start | None = None


@dataclasses.dataclass(frozen=True)
class Trained:
    """What came of a job."""

    model: GPT
    result: Result
    record: Record
    held_out: Batches


class Watch(Protocol):
    """Who is told how a job goes."""

    def announce_parent(self, path: Path, parent: Mapping[str, Any]) -> None:
        """The weights come from there."""
        ...

    def announce(
        self, model: GPT, config: TrainConfig, units: Tokenizer, material: Material, ranks: int
    ) -> None:
        """What is going to happen."""
        ...

    def training(self, steps: int) -> contextlib.AbstractContextManager[None]:
        """Holds while steps are made."""
        ...

    def on_plan(self, plan: Plan) -> None:
        """What a step will do."""
        ...

    def on_step(self, step: Progress) -> None:
        """After each step; `Pause` out of it ends the run there."""
        ...


def new_job(options: Options, group: Group = ALONE) -> Job:
    """The settings of a run that begins. Errors: DataError, CheckpointError (of the parent)."""
    text, corpus = options.text, _corpus(options, group)
    if isinstance(corpus, TokenData):
        text = corpus.sets[0].path
    shape = ("layers", "heads", "width", "context")
    given = {k: getattr(options, k) for k in (*shape, "batch", "steps")}
    dropout, rate = options.dropout, options.learning_rate
    parent = None
    if options.start is None:
        if isinstance(corpus, TokenData):
            units = corpus.sets[0].tokenizer
        else:
            units = make_tokenizer(options.tokenizer or "char", corpus, options.vocab_size or 512)
        sizes = SIZES | (QUICK if options.quick else {})
        rate = RATE if rate is None else rate
    else:
        asked = {k: given[k] for k in shape}
        asked |= {"tokenizer": options.tokenizer, "bpe units": options.vocab_size}
        quick = {k: QUICK[k] for k in shape} if options.quick else {}
        parent = start_from(options.start, asked | quick)
        check_text(corpus, parent, source_name(str(text) if text else None))
        units = parent.units
        sizes = {**parent.settings["model"], "batch": parent.settings["training"]["batch"]}
        sizes["steps"] = FINE_TUNING_STEPS
        dropout = sizes["dropout"] if dropout is None else dropout
        rate = FINE_TUNING_RATE if rate is None else rate
    sizes |= {k: v for k, v in given.items() if v is not None}
    model: dict[str, Any] = {k: sizes[k] for k in shape}
    config = GPTConfig(units.vocab_size, **model, dropout=dropout or 0.0)
    settings = {
        "text": str(text.resolve()) if text else None,
        "model": dataclasses.asdict(config),
        "training": dataclasses.asdict(_training(options, sizes, rate)),
    }
    if isinstance(corpus, TokenData):
        settings["data"] = corpus.as_settings()
    if parent is not None:
        settings["model"] = {**parent.settings["model"], "dropout": dropout}
    return Job(settings, units, corpus, parent)


def _corpus(options: Options, group: Group) -> Corpus:
    """Errors: DataError, also for options that do not go together."""
    if not options.data:
        if options.documents:
            raise DataError(explain("--documents", "goes with --data only"))
        return corpus_of(str(options.text) if options.text else None, None, group)
    named = {"--text": options.text, "--tokenizer": options.tokenizer}
    for name, value in {**named, "--vocab-size": options.vocab_size}.items():
        if value is not None:
            remedy = "leave it out: text and tokenizer come with the data set"
            raise DataError(explain(name, "does not go with --data", remedy=remedy))
    return TokenData.open(options.data, options.documents)


def _training(options: Options, sizes: Mapping[str, int], rate: float) -> TrainConfig:
    steps = sizes["steps"]
    return TrainConfig(
        steps=steps,
        batch=sizes["batch"],
        learning_rate=rate,
        warmup=min(100, steps // 10),
        validate_every=options.validate_every or max(1, min(250, steps // 4)),
        seed=options.seed,
        on_bad=options.on_bad,
        spike=options.spike,
        accumulate=options.accumulate,
        average=options.average,
        patience=options.patience,
    )


def old_job(run: RunFolder, group: Group = ALONE) -> Job:
    """That of a run folder, to go on with. Errors: CheckpointError, DataError for its text."""
    settings = group.share(run.read_config)
    units = load_tokenizer(group.share(lambda: tokenizer_of(run).to_json()))
    corpus = corpus_of(settings.get("text"), settings.get("data"), group)
    return Job(settings, units, corpus)


def run_job(job: Job, run: RunFolder, resume: bool, watch: Watch, group: Group = ALONE) -> Trained:
    """Trains in the folder and leaves its record there, written by the first of the group, whose
    ranks all call this. Errors: those of `fit`, DataError."""
    settings, units = job.settings, job.units
    model: GPT = model_of(settings, run)
    try:
        config = TrainConfig(**settings["training"])
    except (KeyError, TypeError) as error:
        raise CheckpointError(explain(str(run.config), f"is damaged: {error}")) from None
    source = settings["text"] or "the language reference inside Python"
    batches, held_out, material = material_of(
        job.corpus, source, units, config, model.config.context
    )
    with contextlib.ExitStack() as stack:
        has_board = settings.get("tensorboard") and group.is_first
        board = stack.enter_context(TensorBoard(run)) if has_board else None
        group.rows((np.empty(config.batch),))  # known now, before anything is written
        group.share(lambda: stack.enter_context(run.held()))
        if job.parent is not None:
            model.load_state_dict(job.parent.model.state_dict())
            settings = with_parent(run, settings, job.parent)
            watch.announce_parent(job.parent.folder.path, settings["parent"])
        if not resume:
            # Known before the record is: a token of one run may be more text than one of another.
            facts = {"characters": material.characters, "tokens": material.learnt + material.held}
            settings = {**settings, "corpus": facts | {"held_out": material.held}}
            if group.is_first:
                run.write_config(settings)
                run.write(run.tokenizer, units.to_json())
                run.metrics.unlink(missing_ok=True)
        watch.announce(model, config, units, material, group.size)

        def on_step(step: Progress) -> None:
            if board is not None:
                board.on_step(step)
            watch.on_step(step)

        stack.enter_context(watch.training(config.steps))
        told = (on_step, watch.on_plan)
        result = fit(model, batches, held_out, config, run, resume, *told, group=group)
    forgetting = after_training(settings, model, units)
    record = record_of(settings, model, material, result, forgetting)
    if group.is_first:
        write_record(run, record)
    return Trained(model, result, record, held_out)
