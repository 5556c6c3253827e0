"""fit: the training loop."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tinygrad_tx.data import Batch, Batches
from tinygrad_tx.errors import CheckpointError, NonFiniteError
from tinygrad_tx.jit import Plan, jit
from tinygrad_tx.optim import AdamW, Rates, clip_grad_norm, cosine, same
from tinygrad_tx.tensor import Tensor, get_state, manual_seed, no_grad, require_finite, set_state
from tinygrad_tx.train.config import TrainConfig
from tinygrad_tx.train.diagnose import first_not_finite
from tinygrad_tx.train.run import RunFolder

__all__ = ["Progress", "Result", "fit", "held_out_loss"]


@dataclass(frozen=True)
class Progress:
    """One finished step. Losses in nats for each token; validation only where it was measured."""

    step: int
    loss: float
    gradient_norm: float
    learning_rate: float
    tokens_per_second: float
    validation: float | None = None


@dataclass
class Result:
    """What came of a run. first: the held-out loss before the first step; validation: the last."""

    step: int = 0
    seconds: float = 0.0
    first: float = float("nan")
    validation: float = float("nan")
    interrupted: bool = False
    metrics: list[dict[str, Any]] = field(default_factory=list)


def fit(
    model: Any,
    train: Batches,
    held_out: Batches,
    config: TrainConfig,
    run: RunFolder,
    resume: bool = False,
    on_step: Callable[[Progress], None] | None = None,
    on_plan: Callable[[Plan], None] | None = None,
    rates: Rates = same,
) -> Result:
    """Trains `model` with AdamW on a warmed-up cosine, validating and saving as it goes.

    Any module will do whose `loss(*batch)` is a number in nats. rates: from a parameter's path to
    the factor of its learning rate; a parameter with 0 stays as it is, and costs no gradient.
    Ctrl-C ends after the running step and saves. Errors: NonFiniteError names the first node
    that was not finite, CheckpointError a folder that cannot be written; the last good
    checkpoint stands in both cases. on_plan is told what a step will do, before the first.
    """
    run.create()
    manual_seed(config.seed)
    trainer = _Trainer(model, train, held_out, config, run, rates)
    if resume:
        trainer.restore()
    if on_plan is not None:
        on_plan(trainer.plan())
    if not resume:
        trainer.result.first = trainer.held_out_loss()
    with _interruptible() as interrupted:
        return trainer.loop(on_step or (lambda progress: None), interrupted)


def held_out_loss(model: Any, held_out: Batches, most: int) -> float:
    """Mean loss in nats on at most `most` batches, without dropout."""
    return _mean_loss(jit(partial(_loss, model)), held_out, most)


def _loss(model: Any, *batch: Tensor) -> Tensor:
    model.eval()
    with no_grad():
        return model.loss(*batch)  # type: ignore[no-any-return]


def _mean_loss(measure: Callable[..., Tensor], held_out: Batches, most: int) -> float:
    losses: list[float] = [measure(*batch).item() for batch in held_out.in_order(most)]
    return sum(losses) / len(losses)


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
    ) -> None:
        self.model, self.batches, self.held_out = model, train, held_out
        self.config, self.run = config, run
        learning = [(p, f) for n, p in model.named_parameters() if (f := rates(n)) > 0]
        self.optimizer = AdamW(
            [p for p, _ in learning],
            config.learning_rate,
            weight_decay=config.weight_decay,
            factors=[f for _, f in learning],
        )
        self.rate = cosine(
            config.learning_rate, config.steps, config.warmup, 0.1 * config.learning_rate
        )
        self.result = Result()
        self.step = jit(self._step)
        self.measure = jit(partial(_loss, model))

    def plan(self) -> Plan:
        """What a training step will do."""
        return self.step.plan(*next(iter(self.batches.in_order(1))))

    def _step(self, *batch: Tensor) -> tuple[Tensor, Tensor]:
        self.model.train()
        self.optimizer.zero_grad()
        loss = self.model.loss(*batch)
        loss.backward()
        norm = clip_grad_norm(self.optimizer.parameters, self.config.clip)
        self.optimizer.step()
        return require_finite(loss, "loss"), require_finite(norm, "gradient norm")

    def loop(self, on_step: Callable[[Progress], None], interrupted: threading.Event) -> Result:
        config, result = self.config, self.result
        began = time.perf_counter() - result.seconds
        while result.step < config.steps and not interrupted.is_set():
            started = time.perf_counter()
            rate = self.rate(result.step)
            self.optimizer.lr = rate
            batch = self.batches.draw()
            loss, norm = self._try(batch)
            result.step += 1
            speed = batch[0].size / (time.perf_counter() - started)
            due = result.step % config.validate_every == 0 or result.step == config.steps
            progress = Progress(
                result.step, loss, norm, rate, speed, self.validate() if due else None
            )
            result.seconds = time.perf_counter() - began
            self._note(progress)
            if due:
                self.save()
            on_step(progress)
        self.model.eval()
        result.interrupted = interrupted.is_set() and result.step < config.steps
        if result.interrupted:
            self.save()
        return result

    def _try(self, batch: Batch) -> tuple[float, float]:
        try:
            loss, norm = self.step(*batch)
        except NonFiniteError as error:
            where = self._explain(batch)
            kept = f"the last good checkpoint is {self.run.checkpoint}"
            kept = kept if self.run.checkpoint.exists() else "nothing had been saved yet"
            remedy = "lower --learning-rate or clip harder"
            raise NonFiniteError(
                f"step {self.result.step + 1}: {str(error)[:-1]}; {where}; {kept}; {remedy}."
            ) from None
        return loss.item(), norm.item()

    def _explain(self, batch: Batch) -> str:
        """The same step outside the capture: its state has not changed, so neither has its flaw."""
        self.optimizer.zero_grad()
        loss = self.model.loss(*batch)
        names = {p.node: f"parameter {name}" for name, p in self.model.named_parameters()}
        found = first_not_finite([loss.node], names)
        if not found:
            loss.backward()
            gradients = [p.grad.node for p in self.model.parameters() if p.grad is not None]
            found = first_not_finite(gradients, names) or "only their joint norm overflows"
        self.optimizer.zero_grad()
        return found

    def held_out_loss(self) -> float:
        return _mean_loss(self.measure, self.held_out, self.config.validation_batches)

    def validate(self) -> float:
        """The held-out loss, noted as the last one."""
        self.result.validation = self.held_out_loss()
        return self.result.validation

    def _note(self, progress: Progress) -> None:
        row = {k: v for k, v in vars(progress).items() if v is not None}
        self.result.metrics.append(row)
        try:
            with self.run.metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            message = f"{self.run.metrics}: cannot be written: {error.strerror}; "
            raise CheckpointError(message + "the last good checkpoint is kept.") from None

    def save(self) -> None:
        """The checkpoint: from it a run goes on as if it had never stopped."""
        state = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        state |= {f"optimizer.{k}": v for k, v in self.optimizer.state_dict().items()}
        notes = {
            "format": "tinygrad_tx 1",
            "step": str(self.result.step),
            "seconds": str(self.result.seconds),
            "first": str(self.result.first),
            "validation": str(self.result.validation),
            "batches": self.batches.state(),
            "random": json.dumps(get_state().tolist()),
        }
        self.run.save_checkpoint(state, notes)

    def restore(self) -> None:
        """Goes on from the checkpoint. Errors: CheckpointError."""
        state, notes = self.run.load_checkpoint()
        try:
            self.result.step = int(notes["step"])
            self.result.seconds = float(notes["seconds"])
            self.result.first = float(notes.get("first", "nan"))
            self.result.validation = float(notes["validation"])
            self.batches.restore(notes["batches"])
            set_state(json.loads(notes["random"]))
        except (KeyError, ValueError) as error:
            message = f"checkpoint {self.run.checkpoint}: its notes are damaged: {error}."
            raise CheckpointError(message) from None
        for part, owner in (("model.", self.model), ("optimizer.", self.optimizer)):
            own = {k.removeprefix(part): v for k, v in state.items() if k.startswith(part)}
            owner.load_state_dict(own)
        rows = [r for r in self.run.read_metrics() if r["step"] <= self.result.step]
        self.result.metrics = rows
        self.run.write(self.run.metrics, "".join(json.dumps(r) + "\n" for r in rows))


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Ctrl-C sets the event; a second one interrupts at once."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def on_interrupt(number: int, frame: Any) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)
