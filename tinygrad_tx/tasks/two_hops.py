"""Reasoning in small: where is a thing that somebody has? With and without written facts.

What a scratchpad, votes and a verifier add is measured by `reasoning`, on stories never learnt.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.models import GPT, GPTConfig
from tinygrad_tx.tasks.answering import last_place, sinusoids
from tinygrad_tx.tasks.hops import WORDS, StoryForm, StoryRows, asked_about
from tinygrad_tx.tasks.picture import bars, panels, write_picture
from tinygrad_tx.tasks.reasoning import (
    DIRECT,
    GREEDY,
    STEPS,
    Answers,
    Budget,
    Exam,
    answers_of,
    notes_of,
    rows_of,
)
from tinygrad_tx.tasks.stage import open_task, seconds_since
from tinygrad_tx.tasks.stories import Story
from tinygrad_tx.tasks.table import write_outcome
from tinygrad_tx.tasks.task import Outcome, Row, TaskConfig, bootstrap
from tinygrad_tx.train import RunFolder

__all__ = ["run"]

LAST, COMMONEST = "the last place named", "the commonest answer"
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Plan:
    """lengths: of stories, in sentences. asked: held-out questions of each number of hops."""

    budget: Budget
    lengths: tuple[int, int]
    asked: int


FULL = Plan(Budget(GPTConfig(len(WORDS), 80, 2, 4, 96), 1800, 250, 32, 8, 2000, 800), (3, 6), 400)
QUICK = Plan(Budget(GPTConfig(len(WORDS), 80, 1, 2, 32), 3, 2, 4, 2, 4, 2), (3, 6), 6)


def run(config: TaskConfig) -> Outcome:
    """The task. Errors: those of `fit`."""
    began = time.perf_counter()
    folder, plan, seed = open_task(config), QUICK if config.quick else FULL, config.seed
    budget, two = plan.budget, asked_about(plan.lengths, 2, plan.asked, seed, True)
    asked = [*two, *asked_about(plan.lengths, 1, plan.asked, seed, True)]
    learnt = asked_about(plan.lengths, 2, budget.judged, seed, False)

    def batches(with_facts: bool, seed: int) -> StoryRows:
        return StoryRows(plan.lengths, with_facts, budget.batch, budget.shape.context, seed)

    forms = StoryForm(False), StoryForm(True)
    exam = Exam(lambda: started(budget.shape, seed), forms, batches, asked, learnt)
    found = answers_of(config, budget, exam)
    counted = np.array([story.hops == 2 for story in asked])
    rows = rows_of(found, lambda right: (("one hop", bootstrap(right[~counted]).text()),), counted)
    rows += _baselines(two, learnt)
    for row in rows[-2:]:
        config.watch.say(f"{row.method}: {row.score.text()}")
    _draw(folder, rows)
    outcome = _outcome(config, plan, rows, found, counted, began)
    write_outcome(folder, outcome)
    return outcome


def started(shape: GPTConfig, seed: int) -> GPT:
    """A GPT whose start fits its small width, with sinusoids as its positions.

    GPT-2's deviation of 0.02 is about 1 / sqrt(width) for published widths; at 96 it makes
    attention nearly even at the start. Embeddings are as large as what the blocks add to them.
    """
    model = GPT(shape, seed)
    for name, p in model.named_parameters():
        if name.endswith(("qkv.weight", "up.weight")):
            p.assign_(p.numpy() / (0.02 * p.shape[0] ** 0.5))
    model.embedding.weight.assign_(5 * model.embedding.weight.numpy())
    waves = 0.1 * 2**0.5 * sinusoids(shape.context, shape.width)
    model.position.weight.assign_(waves)
    return model


def _baselines(some: Sequence[Story], learnt: Sequence[Story]) -> list[Row]:
    """The rows of guesses that read no names."""
    commonest = Counter(story.answer for story in learnt).most_common(1)[0][0]
    guesses = {LAST: [last_place(s) for s in some], COMMONEST: [commonest] * len(some)}
    return [
        Row(name, bootstrap(np.array([a == s.answer for a, s in zip(said, some, strict=True)])))
        for name, said in guesses.items()
    ]


def _draw(folder: RunFolder, rows: Sequence[Row]) -> None:
    picture, (axes,) = panels()
    picture.set_size_inches(8, 0.3 * len(rows) + 1)
    models = [row for row in rows if row.trained]
    bars(axes, [r.method for r in models], [r.score for r in models])
    axes.tick_params(axis="y", labelsize=7)
    for row in rows[len(models) :]:
        axes.axvline(
            row.score.value, color="#666666", linestyle="--", linewidth=1, label=row.method
        )
    axes.set(xlabel="two-hop questions answered exactly", xlim=(0, 1.02))
    write_picture(folder, picture)


def _outcome(
    config: TaskConfig,
    plan: Plan,
    rows: list[Row],
    found: Sequence[Answers],
    counted: Array,
    began: float,
) -> Outcome:
    named = {row.method: row for row in rows}
    best, plain = named[f"{STEPS}, {GREEDY}"], named[f"{DIRECT}, {GREEDY}"]
    last = named[LAST].score
    told = (
        "more than" if plain.score.low > last.high
        else "less than" if plain.score.high < last.low
        else "not clearly told from"
    )  # fmt: skip
    one_hop = dict(plain.more)["one hop"]
    return Outcome(
        name="two-hops",
        what="Where is a thing that somebody took along? GPTs of one size read as many stories: "
        "the answer alone, or who has it and where they are first; greedy, by vote of samples, "
        "and by a trained verifier.",
        data="Stories of a grammar of our own, made as they are read, with all their questions of "
        f"one hop and two: {plan.lengths[0]} to {plan.lengths[1]} sentences; {plan.asked} held-out "
        "questions of each kind, about stories that are never learnt.",
        command="tinygrad-tx finetune two-hops --out runs/two-hops",
        metric="exact match, two hops",
        baseline_name=plain.method,
        baseline=plain.score,
        score=best.score,
        trained=best.trained,
        seconds=seconds_since(began, *(max(one.seconds.values()) for one in found)),
        rows=tuple(rows),
        notes=(
            *notes_of(found, plan.budget, counted),
            f"The answer alone is {told} {LAST}, {last.text()}.",
            "One-hop questions are learnt beside the others; the answer alone is right in "
            f"{one_hop} of them.",
        ),
        quick=config.quick,
    )
