"""What `train` says while it works and leaves behind when it is done."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.image import imread
from rich.console import Console
from rich.progress import Progress, TaskID

from tinygrad_tx.cli.bar import progress_on
from tinygrad_tx.config import config as process
from tinygrad_tx.data import Batches, Tokenizer
from tinygrad_tx.errors import DrawError
from tinygrad_tx.jit import Plan
from tinygrad_tx.models import GPT
from tinygrad_tx.train import (
    CorpusFacts,
    Forgetting,
    ModelFacts,
    Parent,
    Progress as Step,
    Record,
    Result,
    RunFolder,
    TensorBoard,
    TrainConfig,
    source_name,
)
from tinygrad_tx.train.plot import loss_curve
from tinygrad_tx.train.record import FINE_TUNING, PRETRAINING
from tinygrad_tx.viz import Drawing, draw
from tinygrad_tx.viz.picture import duration
from tinygrad_tx.viz.render import Plot

__all__ = ["Material", "Screen", "record_of", "write_report"]

MEASURED_STEPS = 10
SAMPLES, PROMPT_TOKENS = 3, 24


@dataclass(frozen=True)
class Material:
    """What is trained on: characters, tokens to learn from and held out, the loss to beat."""

    source: str
    characters: int
    learnt: int
    held: int
    baseline: float
    counted: int | None = None
    """Tokens that the loss to beat was counted in, if not all."""


class Screen:
    """The terminal: a bar where there is one, else a line now and then; nothing if `quiet`."""

    def __init__(self, quiet: bool = False) -> None:
        self.console = Console(highlight=False, soft_wrap=True, quiet=quiet)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._steps = 0
        self._first = 0
        self._started = 0.0
        self._compiled = 0

    def say(self, text: str) -> None:
        self.console.print(text, markup=False)

    def announce_parent(self, path: Path, parent: Mapping[str, Any]) -> None:
        """Where the weights come from, and what they do on the text they were trained on."""
        self.say(f"Starting from the weights of {path}")
        if parent["loss"] is None:
            self.say(f"Its corpus {parent['text']} is not found: forgetting is not measured")
        else:
            self.say(f"On its corpus: {parent['loss']:.3f} nats for each held-out token")

    def announce(
        self, model: GPT, config: TrainConfig, units: Tokenizer, material: Material, ranks: int
    ) -> None:
        """What is going to happen."""
        shape = model.config
        numbers = model.num_parameters()
        self.say(
            f"GPT: {shape.layers} layers, {shape.heads} heads, width {shape.width}, context "
            f"{shape.context}, {numbers:,} parameters"
        )
        self.say(
            f"Text: {material.source}; {units.kind} tokens, vocabulary {units.vocab_size}; "
            f"{material.learnt:,} to learn from, {material.held:,} held out"
        )
        tokens = config.batch * config.accumulate * shape.context
        self.say(f"Training: {config.steps} steps of {tokens:,} tokens, {process.threads} threads")
        if ranks > 1:
            rows = f"{config.batch // ranks} of {config.batch} rows each"
            self.say(f"By {ranks} processes, {rows}")
        baseline = f"{material.baseline:.3f} nats for each held-out token"
        counted = material.counted
        which = f" of {counted:,} tokens spread evenly" if counted is not None else ""
        self.say(f"To beat: bigram counts{which}, {baseline}")

    def on_plan(self, plan: Plan) -> None:
        """What a step needs, once it is planned and before it runs."""
        state = sum(leaf.nbytes for leaf in plan.program.leaves) / 1e6
        self.say(
            f"A step: {len(plan.program.steps)} rows of {len(plan.kernels)} kernels, "
            f"{plan.flops / 1e9:.2f} GFLOP, {state:.0f} MB of weights and optimiser state, "
            f"{plan.peak_bytes / 1e6:.0f} MB of working memory"
        )

    @contextmanager
    def training(self, steps: int) -> Iterator[None]:
        """Shows progress until the end of the block."""
        self._steps = steps
        self._bar = progress_on(self.console)
        process.on_compile = self._on_compile
        try:
            with self._bar:
                self._task = self._bar.add_task("planning", total=steps)
                yield
        finally:
            process.on_compile = None

    def _on_compile(self, name: str) -> None:
        assert self._bar is not None
        if not self._compiled:
            self.say("Compiling kernels that this machine has not kept yet; this happens once.")
        self._compiled += 1
        self._bar.update(self._task, description=f"compiling kernel {self._compiled}: {name[:40]}")

    def on_step(self, step: Step) -> None:
        """After each training step."""
        assert self._bar is not None
        if not self._first:
            self._first, self._started = step.step, time.perf_counter()
        done = step.step - self._first
        if done == MEASURED_STEPS:
            each = (time.perf_counter() - self._started) / done
            left = duration(each * (self._steps - step.step))
            self.say(f"A step takes {each * 1e3:.0f} ms: about {left} to go")
        self._bar.update(
            self._task,
            completed=step.step,
            description=f"loss {step.loss:.3f}  {step.tokens_per_second:,.0f} tokens/s",
        )
        if step.validation is not None:
            self.say(
                f"step {step.step:5d}  training {step.loss:.3f}  held out {step.validation:.3f}  "
                f"{step.tokens_per_second:,.0f} tokens/s"
            )


def write_report(
    screen: Screen,
    run: RunFolder,
    model: GPT,
    units: Tokenizer,
    result: Result,
    record: Record,
    held_out: Batches,
    is_on_board: bool = False,
) -> None:
    """Loss curve, diagram, samples and the one-page summary. is_on_board: for TensorBoard too."""
    baselines = {"bigram counts": record.baseline or 0.0}
    for suffix in ("svg", "png"):
        run.write(run.path / f"loss.{suffix}", loss_curve(result.metrics, baselines, suffix))
    tokens, _ = next(held_out.in_order())
    diagram = "![The model](model.svg)"
    drawing = None
    try:
        drawing = draw(model, run.path / "model.svg", inputs=(tokens,), overlay="shapes")
    except DrawError as error:
        screen.say(f"The diagram was not rendered: {error}")
        diagram = "The diagram is in model.dot; no renderer drew it."
    samples = _samples(model, units, tokens)
    if is_on_board:
        _show_on_board(run, samples, drawing)
    screen.say("")
    for sample in samples:
        screen.say(sample)
        screen.say("-" * 40)
    verdict = _verdict(result, record)
    screen.say(verdict)
    run.write(run.summary, _summary(run, model, result, verdict, diagram, samples))
    screen.say(
        f"Left in {run.path}: summary.md, loss.svg, model.svg, model.dot, record.json, "
        "checkpoint.safetensors"
    )
    screen.say(f'Write with it: tinygrad-tx generate {run.path} --prompt "The "')


def _show_on_board(run: RunFolder, samples: list[str], drawing: Drawing | Plot | None) -> None:
    """Samples and the diagram, where TensorBoard finds them beside the losses."""
    with TensorBoard(run) as board:
        for number, sample in enumerate(samples, 1):
            board.text(f"samples/{number}", sample)
        if drawing is not None:
            drawing.save(run.path / "model.png")
            board.image("model", imread(run.path / "model.png"))


def record_of(
    settings: Mapping[str, Any],
    model: GPT,
    material: Material,
    result: Result,
    forgetting: Forgetting | None,
) -> Record:
    """All that is known of a run at its end."""
    shape, parent, training = model.config, settings.get("parent"), settings["training"]
    losses = [row["validation"] for row in result.metrics if "validation" in row]
    best = min(losses, default=None)
    tokens = material.learnt + material.held
    return Record(
        kind=FINE_TUNING if parent else PRETRAINING,
        corpus=CorpusFacts(
            source_name(settings["text"]), material.characters, tokens, material.held
        ),
        model=ModelFacts(
            type(model).__name__,
            shape.layers,
            shape.width,
            shape.context,
            shape.vocab_size,
            model.num_parameters(),
        ),
        steps=result.step,
        tokens=result.step * training["batch"] * training.get("accumulate", 1) * shape.context,
        seconds=result.seconds,
        loss_before=result.first if math.isfinite(result.first) else None,
        loss_best=best,
        # That of the weights which are left: the best ones, where they were waited for.
        loss=losses[-1] if losses and not training.get("patience") else best,
        baseline=material.baseline,
        interrupted=result.interrupted,
        parent=Parent(parent["path"], parent["digest"]) if parent else None,
        forgetting=forgetting,
    )


def _verdict(result: Result, record: Record) -> str:
    if record.loss is None:
        return "Not validated yet."
    baseline = record.baseline or 0.0
    word = "beats" if record.loss < baseline else "does not beat"
    found = (
        f"Held-out loss {record.loss:.3f} nats for each token after {result.step} steps and "
        f"{duration(result.seconds)}; it {word} bigram counts, {baseline:.3f}."
    )
    return f"{found}{_of_parent(record)}"


def _of_parent(record: Record) -> str:
    """What fine-tuning changed: the loss on the new text, and on the parent's."""
    if record.parent is None:
        return ""
    before = record.loss_before
    said = f" Fine-tuned from {record.parent.path}"
    said += f": {before:.3f} before the first step." if before is not None else "."
    lost = record.forgetting
    if lost is None or lost.after is None:
        why = "its text was not found, or has changed"
        return f"{said} The loss on the parent's corpus is not known: {why}."
    word = "forgot" if lost.after > lost.before else "gained"
    return (
        f"{said} On the parent's corpus, {lost.corpus}: {lost.before:.3f} before and "
        f"{lost.after:.3f} now; it {word} {abs(lost.after - lost.before):.3f} nats."
    )


def _samples(model: GPT, units: Tokenizer, held_out: Any) -> list[str]:
    """The model going on from three places of the held-out text."""
    rows = np.linspace(0, len(held_out) - 1, SAMPLES).astype(int)
    starts = [held_out[row, :PROMPT_TOKENS].tolist() for row in rows]
    return [
        units.decode([*start, *model.generate(start, 240, temperature=0.8, seed=seed)])
        for seed, start in enumerate(starts)
    ]


def _summary(
    run: RunFolder, model: GPT, result: Result, verdict: str, diagram: str, samples: list[str]
) -> str:
    shape = model.config
    quoted = "\n\n".join("    " + s.replace("\n", "\n    ") for s in samples)
    return f"""# {run.path.name}

{verdict}

GPT with {shape.layers} layers, {shape.heads} heads, width {shape.width}, context {shape.context},
vocabulary {shape.vocab_size}: {model.num_parameters():,} parameters.

![Loss](loss.svg)

{diagram}

## Samples, at temperature 0.8

{quoted}
"""
