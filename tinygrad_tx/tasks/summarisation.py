"""Summaries of docstrings: from the body to the first line, in packages that were never read.

An encoder-decoder on byte-pair units, from scratch, against taking the body's first sentence.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.data import BPETokenizer, Examples
from tinygrad_tx.data.docstrings import Documented, documented, first_sentence, name_words, parts
from tinygrad_tx.data.units import FIRST
from tinygrad_tx.models import EncoderDecoder, EncoderDecoderConfig
from tinygrad_tx.tasks.picture import bars, curves, panels, write_picture
from tinygrad_tx.tasks.rouge import rouge_l, rouge_n
from tinygrad_tx.tasks.sequences import pairs, write, write_with_beams
from tinygrad_tx.tasks.stage import open_task, train_stage
from tinygrad_tx.tasks.table import write_outcome
from tinygrad_tx.tasks.task import Outcome, Row, TaskConfig, bootstrap
from tinygrad_tx.train import Result, RunFolder, TrainConfig

__all__ = ["run"]

GREEDY, LEAD, NAME = "encoder-decoder", "the body's first sentence", "words of the name"
OTHER = "a first line of another package"
MOST_WORDS = 24  # as the true first lines have: a longer lead is cut


@dataclass(frozen=True)
class Plan:
    """times: units of body and first line. asked: of how many held-out ones ROUGE is measured."""

    vocab_size: int = 2500
    times: tuple[int, int] = (64, 24)
    steps: int = 2200
    batch: int = 16
    layers: int = 2
    width: int = 128
    heads: int = 4
    dropout: float = 0.1
    asked: int = 600
    beamed: int = 40
    files: int = 300
    most: int | None = None


FULL = Plan()
QUICK = Plan(300, (24, 10), 4, 4, 1, 32, 2, 0.1, 12, 2, 4, 200)


@dataclass(frozen=True)
class Texts:
    train: list[Documented]
    held_out: list[Documented]
    units: BPETokenizer

    def encode(self, text: str, time: int) -> list[int]:
        """Units behind the special tokens."""
        return (self.units.encode(text)[:time] + FIRST).tolist()  # type: ignore[no-any-return]

    def decode(self, tokens: Sequence[int]) -> str:
        """Special tokens are left out."""
        return self.units.decode([t - FIRST for t in tokens if t >= FIRST])


def run(config: TaskConfig) -> Outcome:
    """The task. Errors: DataError where too little is installed, those of `fit`."""
    began = time.perf_counter()
    folder, plan, say = open_task(config), QUICK if config.quick else FULL, config.watch.say
    train, held_out = parts(documented(files_of_package=plan.files)[: plan.most])
    text = "\n".join(line for one in train for line in (one.first, one.body))
    texts = Texts(train, held_out, BPETokenizer.train(text, plan.vocab_size))
    folder.write(folder.tokenizer, texts.units.to_json())
    say(f"{len(train):,} docstrings to learn from, {len(held_out):,} of other packages held out")
    model = EncoderDecoder(
        EncoderDecoderConfig(
            FIRST + texts.units.vocab_size, plan.times[0], plan.layers, plan.layers, plan.heads,
            plan.width, dropout=plan.dropout,
        ),
        config.seed,
    )  # fmt: skip
    every = max(1, plan.steps // 8)
    training = TrainConfig(
        plan.steps, plan.batch, 1e-3, plan.steps // 10, 0.05, 1.0, every, 16, config.seed
    )
    batches = [_examples(texts, part, plan, config.seed) for part in (train, held_out)]
    done = train_stage(config, "training", model, batches[0], batches[1], training)
    rows = _rows(texts, plan, model, done, config.seed)
    for row in rows:
        say(f"{row.method}: ROUGE-L {row.score.text()}")
    _draw(folder, rows, done)
    outcome = _outcome(config, rows, texts, done, began)
    write_outcome(folder, outcome)
    return outcome


def _examples(texts: Texts, some: Sequence[Documented], plan: Plan, seed: int) -> Examples:
    sources = [texts.encode(one.body, plan.times[0]) for one in some]
    targets = [texts.encode(one.first, plan.times[1] - 1) for one in some]
    return pairs(sources, targets, plan.times, plan.batch, seed)


def _rows(texts: Texts, plan: Plan, model: EncoderDecoder, done: Result, seed: int) -> list[Row]:
    asked = texts.held_out[: plan.asked]
    few = asked[: plan.beamed]
    sources = [texts.encode(one.body, plan.times[0]) for one in asked]
    greedy = [texts.decode(t) for t in write(model, sources, plan.times[1], 64)]
    found = write_with_beams(model, sources[: len(few)], plan.times[1], 4)
    others = np.random.default_rng(seed).integers(0, len(texts.train), len(asked))
    said = {
        LEAD: [_cut(first_sentence(one.body)) for one in asked],
        NAME: [name_words(one.name) for one in asked],
        OTHER: [texts.train[i].first for i in others],
    }
    trained, seconds = model.num_parameters(), done.seconds
    same = f"{GREEDY}, the same {len(few)}"
    return [
        _scored(GREEDY, greedy, asked, trained, seconds),
        *(_scored(method, lines, asked) for method, lines in said.items()),
        _scored(same, greedy[: len(few)], few, trained, seconds),
        _scored(f"{GREEDY}, 4 beams", [texts.decode(t) for t in found], few, trained, seconds),
    ]


def _cut(text: str) -> str:
    return " ".join(text.split()[:MOST_WORDS])


def _scored(
    method: str,
    said: Sequence[str],
    some: Sequence[Documented],
    trained: int = 0,
    seconds: float = 0.0,
) -> Row:
    """ROUGE-L, with the others beside it. Docstrings of one package are resampled one by one."""
    truth = [one.first for one in some]
    both = list(zip(said, truth, strict=True))
    more = [
        (f"ROUGE-{n}", bootstrap(np.array([rouge_n(a, b, n) for a, b in both])).text())
        for n in (1, 2)
    ]
    score = bootstrap(np.array([rouge_l(a, b) for a, b in both]))
    more += [("held-out docstrings", str(len(some)))]
    return Row(method, score, trained, seconds, tuple(more))


def _draw(folder: RunFolder, rows: list[Row], done: Result) -> None:
    picture, (losses, scores) = panels(2)
    thinned = done.metrics[:: max(1, done.step // 200)]
    lines: dict[str, dict[float, Any]] = {
        "training": {r["step"]: r["loss"] for r in thinned},
        "packages held out": {
            r["step"]: r["validation"] for r in done.metrics if "validation" in r
        },
    }
    curves(losses, lines)
    losses.set(xlabel="step", ylabel="loss of a unit (nats)")
    bars(scores, [r.method for r in rows], [r.score for r in rows])
    scores.set(xlabel="ROUGE-L on first lines of packages held out")
    write_picture(folder, picture)


def _outcome(
    config: TaskConfig, rows: list[Row], texts: Texts, done: Result, began: float
) -> Outcome:
    by = {row.method: row for row in rows}
    ours, lead, name = (by[m].score for m in (GREEDY, LEAD, NAME))
    packages = [sorted({o.package for o in part}) for part in (texts.train, texts.held_out)]
    told = {
        label: "more than" if ours.low > other.high
        else "less than" if ours.high < other.low
        else "not clearly told from"
        for label, other in ((LEAD, lead), (NAME, name))
    }  # fmt: skip
    return Outcome(
        name="summarisation",
        what="The first line of a docstring from its body, in packages that were not learnt from.",
        data=f"Docstrings of the {len(packages[0]) + len(packages[1])} packages installed, each "
        f"body and first line once: {len(texts.train):,} to learn from, {len(texts.held_out):,} "
        f"held out, of {', '.join(packages[1])}. Other packages give other figures.",
        command="tinygrad-tx finetune summarisation --out runs/summarisation",
        metric="ROUGE-L (F1)",
        baseline_name=LEAD,
        baseline=lead,
        score=ours,
        trained=by[GREEDY].trained,
        seconds=time.perf_counter() - began,
        rows=tuple(rows),
        notes=(
            f"The model's ROUGE-L is {told[LEAD]} that of {LEAD}, and {told[NAME]} that of {NAME}, "
            "which the model is not shown.",
            f"Loss of a unit on packages held out: {done.first:.2f} nats before, "
            f"{done.validation:.2f} after.",
            "Intervals resample docstrings, not packages: for another choice of packages they are "
            "too narrow.",
        ),
        quick=config.quick,
    )
