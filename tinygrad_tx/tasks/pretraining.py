"""BERT's pretraining (Devlin et al. 2019, section 3.1) on the reference inside Python.

Masked words against counting, next sentences against classifiers that do not read.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.data import WordPieces, hide_words
from tinygrad_tx.data.sentences import sentence_runs
from tinygrad_tx.data.units import PAD
from tinygrad_tx.models import BERT
from tinygrad_tx.tasks.counting import Neighbours, neighbours_of
from tinygrad_tx.tasks.picture import bars, curves, panels, write_picture
from tinygrad_tx.tasks.predict import predict
from tinygrad_tx.tasks.sentence_pairs import SentencePairs
from tinygrad_tx.tasks.shortcuts import length_features, logistic_regression, overlap_features
from tinygrad_tx.tasks.stage import open_task, seconds_since, train_stage
from tinygrad_tx.tasks.table import write_outcome
from tinygrad_tx.tasks.task import Outcome, Row, TaskConfig, bootstrap
from tinygrad_tx.tasks.words import Sizes
from tinygrad_tx.tensor import Tensor, argmax, cross_entropy
from tinygrad_tx.train import Result, TrainConfig

__all__ = ["run"]

BATCH = 16  # more, smaller steps: at the same time less loss than with 32
READINGS = 4  # of the held-out text, with other hidden words and other pairs each time
WORDS, NEXT = "hidden words", "next sentences"


@dataclass(frozen=True)
class Plan:
    sizes: Sizes
    steps: int
    runs: int | None = None


FULL = Plan(Sizes(1500, 56, dropout=0.05), 9000)
QUICK = Plan(Sizes(300, 32, 1, 2, 32), 6, 60)
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Exam:
    """Held-out pairs with hidden words. first, second: numbers of the sentences."""

    seen: Array
    words: Array
    is_not_next: Array
    segments: Array
    places: Array
    first: Array
    second: Array


def run(config: TaskConfig) -> Outcome:
    """The task. Errors: those of `fit`."""
    began = time.perf_counter()
    folder, plan = open_task(config), QUICK if config.quick else FULL
    runs = sentence_runs(limit=plan.runs)
    parts = [[r for r in runs if r.is_held_out == held] for held in (False, True)]
    units = WordPieces.train((s for r in parts[0] for s in r.sentences), plan.sizes.vocab_size)
    folder.write(folder.tokenizer, units.to_json())
    train, held_out = (SentencePairs(part, units, plan.sizes.time) for part in parts)
    config.watch.say(
        f"{len(train.tokens):,} sentences of {sum(map(len, train.tokens)):,} word pieces to learn "
        f"from, {len(held_out.tokens):,} held out; {units.vocab_size} pieces"
    )
    model = BERT(plan.sizes.model(units.vocab_size), config.seed)
    every = max(1, plan.steps // 10)
    training = TrainConfig(
        plan.steps, BATCH, 1e-3, plan.steps // 10, 0.05, 1.0, every, 8, config.seed
    )
    result = train_stage(
        config, "pretraining", model, train.batches(BATCH, config.seed),
        held_out.batches(BATCH, config.seed), training,
    )  # fmt: skip
    exam = _exam(held_out, units.vocab_size, config.seed)
    rows, word_losses = _word_rows(model, exam, train)
    rows += _next_rows(model, exam, train, held_out, config.seed)
    trained = model.num_parameters()
    rows = [
        Row(r.method, r.score, trained, result.seconds, r.more) if "BERT" in r.method else r
        for r in rows
    ]
    _draw(folder, rows, result)
    outcome = _outcome(config, rows, word_losses, train, held_out, trained, began)
    write_outcome(folder, outcome)
    return outcome


def _exam(pairs: SentencePairs, vocab_size: int, seed: int) -> Exam:
    rng = np.random.default_rng((seed, 7))
    first = np.tile(pairs.first, READINGS)
    second, is_not_next = pairs.draw(first, rng)
    tokens, segments = pairs.framed(first, second)
    seen, words, places = hide_words(tokens, vocab_size, rng)
    return Exam(seen, words, is_not_next, segments, places, first, second)


def _word_rows(model: BERT, exam: Exam, train: SentencePairs) -> tuple[list[Row], dict[str, float]]:
    """Hidden words guessed by BERT and by counting, and the losses in nats."""

    def hidden(seen: Tensor, segments: Tensor, places: Tensor) -> Tensor:
        return model.words_at(model.encoder(seen, segments, seen != PAD), places)

    def losses(seen: Tensor, segments: Tensor, places: Tensor, words: Tensor) -> Tensor:
        return cross_entropy(hidden(seen, segments, places), words, reduction="none")

    inputs = (exam.seen, exam.segments, exam.places)
    guesses = predict(model, lambda *some: argmax(hidden(*some), -1), inputs)
    loss = predict(model, losses, (*inputs, exam.words))
    rows, at = np.nonzero(exam.words >= 0)
    words, sentence = exam.words[rows, at], exam.first[rows]
    counts = Neighbours(train.framed(train.first, train.second)[0], train.units.vocab_size)
    left, right = neighbours_of(exam.seen, rows, exam.places[rows, at])
    by_neighbours, neighbour_loss = counts.best(left, right, words)
    found = {
        "BERT": guesses[rows, at] == words,
        "both neighbours": by_neighbours,
        "the commonest word": words == counts.commonest(),
    }
    losses_of = {
        "BERT": float(loss[rows, at].mean()),
        "both neighbours": neighbour_loss,
        "counting words": float(-np.log(counts.unigram[words]).mean()),
        "chance": float(np.log(train.units.vocab_size)),
    }
    made = [Row(f"{WORDS}: {n}", bootstrap(v, sentence)) for n, v in found.items()]
    chance = bootstrap(np.full(2, 1 / train.units.vocab_size))
    return [*made, Row(f"{WORDS}: chance", chance)], losses_of


def _next_rows(
    model: BERT, exam: Exam, train: SentencePairs, held_out: SentencePairs, seed: int
) -> list[Row]:
    """Next sentences told by BERT, and by what can be seen without reading."""

    def told(seen: Tensor, segments: Tensor) -> Tensor:
        hidden = model.encoder(seen, segments, seen != PAD)
        return argmax(model.next_sentence(model.pooler(hidden)), -1)

    whole = held_out.framed(exam.first, exam.second)[0]  # nothing is hidden here
    answers = predict(model, told, (whole, exam.segments))
    found = {"BERT": answers == exam.is_not_next}
    first = np.tile(train.first, 2)
    second, labels = train.draw(first, np.random.default_rng((seed, 8)))
    learnt, asked = _padded(train, first, second), _padded(held_out, exam.first, exam.second)
    for name, features in (("lengths", length_features), ("words in common", overlap_features)):
        told_by = logistic_regression(features(*learnt), labels, features(*asked))
        found[f"{name} alone"] = told_by == exam.is_not_next
    made = [Row(f"{NEXT}: {n}", bootstrap(v, exam.first)) for n, v in found.items()]
    share = max(exam.is_not_next.mean(), 1 - exam.is_not_next.mean())
    return [
        *made,
        Row(f"{NEXT}: the commoner answer", bootstrap(np.full(2, share))),
    ]


def _padded(pairs: SentencePairs, first: Array, second: Array) -> tuple[Array, Array]:
    """The two sentences of each pair by themselves, as far as the model sees them."""
    tokens, segments = pairs.framed(first, second)
    return np.where(segments == 0, tokens, PAD)[:, 1:], np.where(segments == 1, tokens, PAD)


def _draw(folder: Any, rows: list[Row], result: Result) -> None:
    picture, (losses, words, following) = panels(3)
    thinned = result.metrics[:: max(1, result.step // 200)]
    curves(
        losses,
        {
            "training": {r["step"]: r["loss"] for r in thinned},
            "held out": {r["step"]: r["validation"] for r in result.metrics if "validation" in r},
        },
    )
    losses.set(xlabel="step", ylabel="both losses together (nats)")
    for axes, kind in ((words, WORDS), (following, NEXT)):
        some = [r for r in rows if r.method.startswith(kind)]
        bars(axes, [r.method.partition(": ")[2] for r in some], [r.score for r in some])
        axes.set(xlabel=f"{kind}: accuracy on held-out text")
    write_picture(folder, picture)


def _outcome(
    config: TaskConfig,
    rows: list[Row],
    losses: dict[str, float],
    train: SentencePairs,
    held_out: SentencePairs,
    trained: int,
    began: float,
) -> Outcome:
    by_name = {r.method: r.score for r in rows}
    told = by_name[f"{NEXT}: BERT"]
    shortcuts = {n: by_name[f"{NEXT}: {n} alone"] for n in ("lengths", "words in common")}
    listed = ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
    best = max(shortcuts, key=lambda n: shortcuts[n].value)
    beats = "more than" if told.low > shortcuts[best].high else "not clearly more than"
    return Outcome(
        name="pretrain",
        what="BERT pretrained on hidden words and next sentences of English text.",
        data=f"The language reference inside Python, each paragraph once: {len(train.tokens):,} "
        f"sentences to learn from, {len(held_out.tokens):,} held out in runs of eight paragraphs.",
        command="tinygrad-tx pretrain --out runs/mlm",
        metric="accuracy on hidden words",
        baseline_name="the neighbours on both sides",
        baseline=by_name[f"{WORDS}: both neighbours"],
        score=by_name[f"{WORDS}: BERT"],
        trained=trained,
        seconds=seconds_since(began, rows[0].seconds),
        rows=tuple(rows),
        notes=(
            f"Loss on hidden words in nats: {listed}.",
            f"Next sentences: BERT {told.text()}, {beats} the better shortcut, {best} alone, "
            f"{shortcuts[best].text()}.",
            f"The held-out text is read {READINGS} times with other hidden words and other pairs; "
            "intervals resample whole sentences.",
        ),
        quick=config.quick,
    )
