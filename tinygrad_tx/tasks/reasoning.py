"""What a written scratchpad, votes and a verifier each add to a model that answers in writing.

GPTs of one size read the same number of tokens: one learns answers alone, one writes its steps
first (Nye et al. 2021; Wei et al. 2022), one of these is stopped early. Each then answers greedily,
by votes of samples (Wang et al. 2023) and by a trained verifier (Cobbe et al. 2021). Arithmetic and
two-hop questions are compared in this way.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.data import Batches
from tinygrad_tx.models import GPT, GPTConfig
from tinygrad_tx.tasks.stage import train_stage
from tinygrad_tx.tasks.task import Row, TaskConfig, bootstrap
from tinygrad_tx.tasks.verifier import (
    Form,
    Sample,
    Verifier,
    confidence,
    different,
    likelihood,
    solutions,
    trained_verifier,
)
from tinygrad_tx.train import TrainConfig

__all__ = [
    "ANY", "DIRECT", "EARLY", "GREEDY", "LIKELIEST", "SINGLE", "STEPS", "VERIFIED", "VOTE",
    "WEIGHED", "Answers", "Budget", "Exam", "answers_of", "majority", "notes_of", "rows_of", "ways",
]  # fmt: skip

Array = np.ndarray[Any, Any]
DIRECT, STEPS = "answer alone", "scratchpad"
EARLY = "scratchpad stopped early"
"""Where there is still something to gain: votes and verifiers cannot better what is perfect."""
GREEDY, SINGLE, VOTE, LIKELIEST = "greedy", "one sample", "vote", "likeliest sample"
VERIFIED, WEIGHED = "verifier", "vote weighed by the verifier"
ANY = "any right"
EVERY = slice(None)


@dataclass(frozen=True)
class Budget:
    """What every model gets. samples: of each problem that is asked.

    early: steps of the scratchpad that is stopped early, where it is right in some cases.
    """

    shape: GPTConfig
    steps: int
    early: int
    batch: int
    samples: int
    judged: int
    """Training problems whose samples the verifier learns from, four of each."""
    verifier_steps: int
    temperature: float = 0.7
    learning_rate: float = 2e-3

    @property
    def tokens(self) -> int:
        """That a model reads in its training."""
        return self.steps * self.batch * self.shape.context


@dataclass(frozen=True)
class Exam:
    """What a task gives: models to start from, rows to learn from, and what is asked.

    start: an untrained model of the budget's shape. forms: the answer alone, and with steps. rows:
    batches of a form, by (with steps, seed). asked are held out; learnt are of what training reads.
    """

    start: Callable[[], GPT]
    forms: tuple[Form, Form]
    rows: Callable[[bool, int], Batches]
    asked: Sequence[Any]
    learnt: Sequence[Any]


@dataclass(frozen=True)
class Answers:
    """Of one model, by way of answering: 1 where right (asked,), parameters trained, seconds."""

    name: str
    right: dict[str, Array]
    trained: dict[str, int]
    seconds: dict[str, float]
    note: str


def answers_of(config: TaskConfig, budget: Budget, exam: Exam) -> list[Answers]:
    """The three models, each trained and asked in every way. Errors: those of `fit`."""
    early = dataclasses.replace(budget, steps=budget.early)
    return [
        _answers(config, some, exam, name)
        for name, some in ((DIRECT, budget), (STEPS, budget), (EARLY, early))
    ]


def _answers(config: TaskConfig, budget: Budget, exam: Exam, name: str) -> Answers:
    with_steps, seed, stage = name != DIRECT, config.seed, name.replace(" ", "-")
    form, model = exam.forms[with_steps], exam.start()
    batches = [exam.rows(with_steps, s) for s in (seed, seed + 1)]
    steps = budget.steps
    training = TrainConfig(
        steps, budget.batch, budget.learning_rate, steps // 10, 0.1, 1.0, max(1, steps // 5), 4,
        seed,
    )  # fmt: skip
    done = train_stage(config, stage, model, batches[0], batches[1], training)
    began = time.perf_counter()
    greedy = solutions(model, form, exam.asked, 1, 0.0, seed)
    asked = time.perf_counter() - began
    sampled = solutions(model, form, exam.asked, budget.samples, budget.temperature, seed)
    voted = time.perf_counter() - began - asked
    verifier = Verifier(model, seed)
    note, judging = _taught(config, budget, exam, form, model, verifier, stage)
    right = ways(greedy, sampled, model, verifier)
    own = model.num_parameters()
    both = own + verifier.num_parameters()
    judged = done.seconds + voted + judging
    seconds = {GREEDY: done.seconds + asked, VERIFIED: judged, WEIGHED: judged}
    for way, values in right.items():
        config.watch.say(f"{name}, {way}: {bootstrap(values).text()}")
    return Answers(
        name,
        right,
        {way: both if way in (VERIFIED, WEIGHED) else own for way in right},
        {way: seconds.get(way, done.seconds + voted) for way in right},
        f"{name}: {note}",
    )


def _taught(
    config: TaskConfig,
    budget: Budget,
    exam: Exam,
    form: Form,
    model: GPT,
    verifier: Verifier,
    stage: str,
) -> tuple[str, float]:
    """Trains the verifier on what the model writes to training problems: what it saw, seconds."""
    began = time.perf_counter()
    drawn = solutions(model, form, exam.learnt, budget.samples, budget.temperature, config.seed + 1)
    flat = [s for some in drawn for s in some]
    learnt = different(flat, config.seed)
    sampling = time.perf_counter() - began
    note = (
        f"{np.mean([s.is_right for s in flat]):.1%} of samples of training problems are right; "
        f"the verifier learnt from {len(learnt):,} different ones."
    )
    config.watch.say(note)
    learning = trained_verifier(
        config, f"{stage}-verifier", verifier, learnt, budget.verifier_steps, budget.batch
    )
    return note.replace("%", " %"), sampling + learning


def share(samples: Sequence[Sample]) -> float:
    """How many of the samples are right."""
    return float(np.mean([s.is_right for s in samples]))


def ways(
    greedy: Sequence[Sequence[Sample]],
    sampled: Sequence[Sequence[Sample]],
    model: GPT,
    verifier: Verifier,
) -> dict[str, Array]:
    """1 where a way of answering is right: (problems,) each."""
    flat = [s for some in sampled for s in some]
    own, chances = (
        judge.reshape(len(sampled), -1)
        for judge in (likelihood(model, flat), confidence(verifier, flat))
    )
    return {
        GREEDY: np.array([some[0].is_right for some in greedy], float),
        SINGLE: np.array([share(some) for some in sampled]),
        VOTE: _voted(sampled, np.ones_like(chances)),
        LIKELIEST: _chosen(sampled, own),
        VERIFIED: _chosen(sampled, chances),
        WEIGHED: _voted(sampled, chances),
        ANY: np.array([any(s.is_right for s in some) for some in sampled], float),
    }


def _chosen(sampled: Sequence[Sequence[Sample]], scores: Array) -> Array:
    """1 where the sample with the highest score is right. scores: (problems, samples)."""
    pairs = zip(sampled, scores.argmax(1), strict=True)
    return np.array([some[int(best)].is_right for some, best in pairs], float)


def _voted(sampled: Sequence[Sequence[Sample]], weights: Array) -> Array:
    """1 where the vote of all samples is right. weights: (problems, samples)."""
    pairs = zip(sampled, weights, strict=True)
    said = [majority([s.answer for s in some], w) for some, w in pairs]
    truth = [some[0].problem.answer for some in sampled]
    return np.array([a == b for a, b in zip(said, truth, strict=True)], float)


def majority(answers: Sequence[Any], weights: Sequence[float] | Array) -> Any:
    """The answer with the largest sum of weights, the first of equals.

    Weights of 1 count the samples (Wang et al. 2023, section 2); a verifier's probabilities weigh
    them (Li et al. 2023, section 3.2).
    """
    sums: dict[Any, float] = {}
    for answer, weight in zip(answers, weights, strict=True):
        if answer is not None:
            sums[answer] = sums.get(answer, 0.0) + float(weight)
    return max(sums, key=lambda a: sums[a]) if sums else None


def rows_of(
    found: Sequence[Answers],
    more: Callable[[Array], tuple[tuple[str, str], ...]],
    counted: Array | slice = EVERY,
) -> list[Row]:
    """A row for each model and way: its share of right answers, and what it adds.

    more: columns of the task, from 1 where right (asked,). counted: which of the asked make the
    score. What is added to the greedy answer and to one sample of the same model is resampled in
    pairs.
    """
    rows = []
    for one in found:
        right = {way: values[counted] for way, values in one.right.items()}
        for way, values in one.right.items():
            added = [
                (f"added to {other}", "" if way == other else difference(right[way], right[other]))
                for other in (GREEDY, SINGLE)
            ]
            columns = (*more(values), *added)
            score = bootstrap(right[way])
            rows.append(
                Row(f"{one.name}, {way}", score, one.trained[way], one.seconds[way], columns)
            )
    return rows


def difference(right: Array, other: Array) -> str:
    """The difference on the same problems, with its interval: resampled in pairs."""
    gain = bootstrap(right - other)
    return f"{gain.value:+.1%} ({gain.low:+.1%} to {gain.high:+.1%})".replace("%", " %")


def notes_of(
    found: Sequence[Answers], budget: Budget, counted: Array | slice = EVERY
) -> tuple[str, ...]:
    """What holds for all tasks that are compared so; counted: as in `rows_of`."""
    by = {one.name: one.right[GREEDY][counted] for one in found}
    return (
        f"{budget.tokens:,} tokens and {budget.steps:,} steps for each of the first two models, "
        f"{budget.early:,} steps for the one that is stopped early.",
        f"The scratchpad adds {difference(by[STEPS], by[DIRECT])} to the answer "
        "alone, both greedy.",
        f"Votes and the verifier have the same {budget.samples} samples at temperature "
        f"{budget.temperature}; '{SINGLE}' is their mean, '{LIKELIEST}' the one that the model "
        f"itself holds for the likeliest, '{ANY}' what a perfect choice would reach.",
        "Equal samples have equal scores: a right text that many share counts once where one is "
        "chosen, and as often as it is there in votes.",
        *(one.note for one in found),
    )
