"""fit: the training loop."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_tx.data import Batch, Batches
from tinygrad_tx.distributed import ALONE, Group, Shards
from tinygrad_tx.errors import CheckpointError, DataError, NonFiniteError, explain
from tinygrad_tx.jit import Plan, jit
from tinygrad_tx.optim import AdamW, Average, Rates, cosine, same
from tinygrad_tx.tensor import Tensor, get_state, manual_seed, no_grad, set_state
from tinygrad_tx.train.config import TrainConfig
from tinygrad_tx.train.diagnose import explain_step
from tinygrad_tx.train.guard import PassedOver, Spikes, Tries
from tinygrad_tx.train.interrupt import interruptible
from tinygrad_tx.train.metrics import Metrics
from tinygrad_tx.train.run import RunFolder, part_of, sealed, unsealed_bytes
from tinygrad_tx.train.step import Step, StepError
from tinygrad_tx.train.writer import Writer
from tinygrad_tx.untrusted import parse_json

__all__ = ["Pause", "Progress", "Result", "fit", "held_out_loss"]

MOST_FAILURES = 10
"""In a row, before a policy of passing over gives up."""

Contents = tuple[dict[str, np.ndarray[Any, Any]], dict[str, str]]
"""Arrays by name, and notes."""


@dataclass(frozen=True)
class Progress:
    """One finished step. Losses in nats for each token; validation only where it was measured.

    tokens, seconds: since the first step, with what was lost to interruptions left out.
    """

    step: int
    loss: float
    gradient_norm: float
    learning_rate: float
    tokens_per_second: float
    validation: float | None = None
    tokens: int = 0
    seconds: float = 0.0


class Pause(Exception):  # noqa: N818  # no error: it asks for something
    """Raised by who is told of a step: the run ends there, saved as after Ctrl-C."""


@dataclass
class Result:
    """What came of a run.

    first, validation, best: held-out losses before the first step, the last, the lowest after one
    (`best_step`). stopped: why it ended before its last step, if it did.
    """

    step: int = 0
    seconds: float = 0.0
    first: float = float("nan")
    validation: float = float("nan")
    best: float = float("inf")
    best_step: int = 0
    interrupted: bool = False
    stopped: str = ""
    metrics: Metrics = field(default_factory=Metrics)
    passed_over: PassedOver = field(default_factory=PassedOver)
    recovered: str = ""
    """Why the run went on from the last checkpoint but one, if it did."""


def fit(
    model: Any,
    train: Batches,
    held_out: Batches,
    config: TrainConfig,
    run: RunFolder | Path | str,
    resume: bool = False,
    on_step: Callable[[Progress], None] | None = None,
    on_plan: Callable[[Plan], None] | None = None,
    rates: Rates = same,
    group: Group = ALONE,
) -> Result:
    """Trains `model` with AdamW on a warmed-up cosine, validating and saving as it goes.

    Any module will do whose `loss(*batch)` is a number in nats. run: the folder, or its path.
    rates: from a parameter's path to the factor of its learning rate; a parameter with 0 stays as
    it is, and costs no gradient.
    Ctrl-C ends after the running step and saves; a second one at once, and what was saved stands.
    `Pause` out of on_step ends it like one Ctrl-C. What is not finite, or leaps, is met as
    `config.on_bad` says. With `config.average` the model ends with averaged weights, and is
    validated with them; with `config.patience` it ends with the best. on_plan is told what a
    step will do, before the first. group: the ranks that train together, each on its rows of the
    batches; all call this alike, the first one writes and calls on_step. Errors: NonFiniteError
    names the first node that was not finite, CheckpointError a folder that cannot be written or
    that another process trains in; the last good checkpoint stands in all cases.
    """
    run = run if isinstance(run, RunFolder) else RunFolder(run)
    _check_batches(train, held_out)
    with contextlib.ExitStack() as stack:
        group.share(lambda: stack.enter_context(run.held()))
        manual_seed(config.seed)
        trainer = _Trainer(model, train, held_out, config, run, rates, group)
        if resume:
            trainer.restore()
        if on_plan is not None:
            on_plan(trainer.plan())
        if not resume:
            if group.is_first:
                run.best.unlink(missing_ok=True)
            trainer.result.first = trainer.held_out_loss()
        with contextlib.closing(trainer.writer), interruptible(group.size > 1) as interrupted:
            trainer.loop(on_step or (lambda progress: None), interrupted)
        if config.average or config.patience:
            weights, _ = _read(group, lambda: (run.load_weights(), {}))
            model.load_state_dict(weights)
        return trainer.result


def _check_batches(*given: Any) -> None:
    """Errors: DataError for tokens that are no batches yet."""
    for batches in given:
        if not hasattr(batches, "draw") or not hasattr(batches, "in_order"):
            what = f"learns from batches, not from a {type(batches).__name__}"
            remedy = "cut tokens into them: tx.data.Windows(tokens, batch, context)"
            raise DataError(explain("fit", what, remedy=remedy))


def held_out_loss(model: Any, held_out: Batches, most: int) -> float:
    """Mean loss in nats on at most `most` batches, without dropout."""
    measure = jit(partial(_loss, model))
    losses: list[float] = [measure(*batch).item() for batch in held_out.in_order(most)]
    return sum(losses) / len(losses)


def _loss(model: Any, *batch: Tensor) -> Tensor:
    model.eval()
    with no_grad():
        return model.loss(*batch)  # type: ignore[no-any-return]


class _Trainer:
    """A model, its optimiser and its batches, with the captured step that ties them."""

    def __init__(
        self,
        model: Any,
        train: Batches,
        held_out: Batches,
        config: TrainConfig,
        run: RunFolder,
        rates: Rates,
        group: Group,
    ) -> None:
        self.model, self.batches, self.held_out = model, train, held_out
        self.config, self.run, self.group = config, run, group
        learning = [(p, f) for n, p in model.named_parameters() if (f := rates(n)) > 0]
        self.shards = Shards(group, [p for p, _ in learning], self._backward)
        self.optimizer = AdamW(
            self.shards.pieces,
            config.learning_rate,
            weight_decay=config.weight_decay,
            factors=[learning[owner][1] for owner in self.shards.owners],
        )
        self.rate = cosine(
            config.learning_rate, config.steps, config.warmup, 0.1 * config.learning_rate
        )
        self.result = Result()
        self.writer = Writer(run)
        self.spikes, self.tries = Spikes(config.spike), Tries(MOST_FAILURES)
        decay = config.average
        self.average = Average(model.named_parameters(), decay) if decay else None
        self.step = Step(
            model, self.shards, self.optimizer, config.clip, config.accumulate, self.average
        )
        self.measure = jit(partial(_loss, model))

    def plan(self) -> Plan:
        """What a training step will do."""
        return self.step.plan(self._some_batch())

    def _some_batch(self) -> Batch:
        return next(iter(self.batches.in_order(1)))

    def _backward(self) -> None:
        """Gradients of this rank's rows of a batch."""
        self.model.train()
        batch = self.group.rows(self._some_batch())
        self.model.loss(*batch).backward()

    def loop(self, on_step: Callable[[Progress], None], interrupted: threading.Event) -> None:
        config, result = self.config, self.result
        began = time.perf_counter() - result.seconds
        while result.step < config.steps and not self._is_patience_over():
            if self.group.any(interrupted.is_set()):
                result.interrupted = True
                self.save()
                break
            started = time.perf_counter()
            rate = self.rate(result.step)
            self.optimizer.lr = rate
            batches = [self.batches.draw() for _ in range(config.accumulate)]
            try:
                loss, norm = self.step(batches, self.spikes.limit(self.result.first))
            except StepError as error:
                self.writer.wait()
                self._pass_over(error)
                continue
            self.tries.worked()
            self.spikes.note(loss)
            result.step += 1
            read = sum(b[0].size for b in batches)
            speed = read / (time.perf_counter() - started)
            due = result.step % config.validate_every == 0 or result.step == config.steps
            held_out = self.validate() if due else None
            result.seconds = time.perf_counter() - began
            tokens = result.step * read
            progress = Progress(
                result.step, loss, norm, rate, speed, held_out, tokens, result.seconds
            )
            self._note(progress)
            if due:
                self.save()
            if self.group.is_first:
                try:
                    on_step(progress)
                except Pause:
                    interrupted.set()
        self.model.eval()
        self.writer.wait()

    def _is_patience_over(self) -> bool:
        """Whether the held-out loss has not been lower for too long."""
        config, result = self.config, self.result
        past = (result.step - result.best_step) // config.validate_every
        if not config.patience or past < config.patience or not result.best_step:
            return False
        best = f"{result.best:.4g} after step {result.best_step}"
        result.stopped = f"{past} validations without a lower loss than {best}"
        return True

    def _pass_over(self, error: StepError) -> None:
        """Errors: NonFiniteError where the policy is to stop, or nothing else helped."""
        step, policy = self.result.step + 1, self.config.on_bad
        reason = self.group.share(
            lambda: explain_step(
                self.model, self.shards, error.batch, self.spikes.limit(self.result.first)
            )
        )
        parts = [f"step {step}: {str(error)[:-1]}", reason]
        notes = {"step": str(step), "reason": reason, "random": json.dumps(get_state().tolist())}
        with contextlib.suppress(CheckpointError):  # the step itself is worse news
            self._write(self.run.bad_step, sealed({**self._state(), **_named(error.batch)}, notes))
            parts.append(f"look at it with: tinygrad-tx replay {self.run.path}")
        kept = f"the last good checkpoint is {self.run.checkpoint}"
        is_saved = self.group.share(self.run.checkpoint.exists)
        parts.append(kept if is_saved else "nothing had been saved yet")
        remedy = "lower --learning-rate, clip harder, or pass over such steps: --on-bad skip"
        bad = NonFiniteError("; ".join([*parts, remedy]) + ".")
        if policy == "stop":
            raise bad from None
        self.tries.failed(bad)
        self.result.passed_over.note(step, policy, reason)
        if policy == "rollback" and is_saved:
            # Other batches than those that led here.
            reached = self.batches.state()
            self.restore()
            self.batches.restore(reached)

    def _averaged(self) -> contextlib.AbstractContextManager[None]:
        """The model with the weights that are going to be used."""
        return self.average.in_place() if self.average else contextlib.nullcontext()

    def held_out_loss(self) -> float:
        """As the function, each rank reading its part of the batches: the same bits."""
        batches = list(self.held_out.in_order(self.config.validation_batches))
        found = np.zeros(-(-len(batches) // self.group.size))
        with self._averaged():
            for i, batch in enumerate(self.group.mine(batches)):
                found[i] = self.measure(*batch).item()
        losses: list[float] = self.group.gather(found).T.reshape(-1)[: len(batches)].tolist()
        return sum(losses) / len(losses)

    def validate(self) -> float:
        """The held-out loss, noted as the last one, and as the best one if it is."""
        result = self.result
        result.validation = self.held_out_loss()
        if result.validation < result.best:
            result.best, result.best_step = result.validation, result.step
            if self.config.patience:
                self.writer.wait()
                with self._averaged():
                    weights = self.model.state_dict()
                notes = {"step": str(result.step), "validation": str(result.validation)}
                if self.group.is_first:
                    self.run.save_best(weights, notes)
        return result.validation

    def _note(self, progress: Progress) -> None:
        row = {k: v for k, v in vars(progress).items() if v is not None}
        self.result.metrics.note(row)
        if not self.group.is_first:
            return
        try:
            with self.run.metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            raise self._cannot_note(error) from None

    def _cannot_note(self, error: OSError) -> CheckpointError:
        what, remedy = f"cannot be written: {error.strerror}", "the last good checkpoint is kept"
        return CheckpointError(explain(str(self.run.metrics), what, remedy=remedy))

    def save(self) -> None:
        """The checkpoint: from it a run goes on as if it had never stopped."""
        notes = {
            "step": str(self.result.step),
            "seconds": str(self.result.seconds),
            "first": str(self.result.first),
            "validation": str(self.result.validation),
            "best": json.dumps([self.result.best, self.result.best_step]),
            "batches": self.batches.state(),
            "random": json.dumps(get_state().tolist()),
            "losses": self.spikes.state(),
            "passed over": self.result.passed_over.state(),
        }
        state = self._state()
        if self.group.is_first:
            self.writer.save(state, notes)

    def _write(self, path: Path, data: str | bytes) -> None:
        if self.group.is_first:
            self.run.write(path, data)

    def _state(self) -> dict[str, Any]:
        """Copies of weights and moments by name, on each rank as one process would have them."""
        state = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        moments = self.shards.whole_state(self.optimizer.state_dict())
        state |= {f"optimizer.{k}": v for k, v in moments.items()}
        average = self.average.state_dict() if self.average else {}
        return state | {f"average.{k}": v for k, v in average.items()}

    def restore(self) -> None:
        """Goes on from the checkpoint. Errors: CheckpointError."""
        state, notes = _read(self.group, self.run.load_checkpoint)
        try:
            self.result.step = int(notes["step"])
            self.result.seconds = float(notes["seconds"])
            self.result.first = float(notes.get("first", "nan"))
            self.result.validation = float(notes["validation"])
            self.batches.restore(notes["batches"])
            set_state(parse_json(notes["random"]))
            self.spikes.restore(notes.get("losses", "[]"))
            best, best_step = parse_json(notes.get("best", "[Infinity, 0]"))
            self.result.best, self.result.best_step = float(best), int(best_step)
            self.result.recovered = notes.get("recovered", "")
            if self.result.recovered and self.group.is_first:
                # Else the next save would keep the damaged one as the spare.
                self.run.checkpoint.unlink(missing_ok=True)
            if not self.result.passed_over:
                self.result.passed_over.restore(notes.get("passed over", "[]"))
        except (KeyError, TypeError, ValueError) as error:
            what = f"its notes are damaged: {error}"
            raise CheckpointError(explain(f"checkpoint {self.run.checkpoint}", what)) from None
        owners = {"model.": self.model, "optimizer.": self.optimizer}
        if self.average is not None:
            owners["average."] = self.average
        for prefix, owner in owners.items():
            own = part_of(state, prefix)
            is_sharded = owner is self.optimizer
            owner.load_state_dict(self.shards.own_state(own) if is_sharded else own)
        self.result.metrics = Metrics()
        for row in self.group.share(self._kept_rows):
            self.result.metrics.note(row)

    def _kept_rows(self) -> list[dict[str, Any]]:
        """The rows up to the checkpoint; those behind it go. Errors: CheckpointError."""
        try:
            self.run.cut_metrics(self.result.step)
        except OSError as error:
            raise self._cannot_note(error) from None
        return self.run.read_metrics()


def _read(group: Group, load: Callable[[], Contents]) -> Contents:
    """What the first rank reads: the others may be where the folder is not."""
    if group.size == 1:
        return load()
    return unsealed_bytes(group.share_bytes(lambda: sealed(*load())))


def _named(batch: Batch) -> dict[str, Any]:
    return {f"batch.{i}": array for i, array in enumerate(batch)}
