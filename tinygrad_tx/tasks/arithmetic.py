"""Reasoning in small: additions with and without a written scratchpad, voting, and a verifier.

What each adds is measured by `reasoning`. Some lengths of numbers are never learnt.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.data import CharTokenizer
from tinygrad_tx.models import GPT, GPTConfig
from tinygrad_tx.tasks.picture import curves, panels, write_picture
from tinygrad_tx.tasks.reasoning import (
    ANY,
    DIRECT,
    EARLY,
    GREEDY,
    STEPS,
    VERIFIED,
    Answers,
    Budget,
    Exam,
    answers_of,
    notes_of,
    rows_of,
)
from tinygrad_tx.tasks.stage import open_task, seconds_since
from tinygrad_tx.tasks.sums import ALPHABET, SumForm, SumRows, drawn, held_out_problems
from tinygrad_tx.tasks.table import write_outcome
from tinygrad_tx.tasks.task import Figure, Outcome, Row, TaskConfig, bootstrap
from tinygrad_tx.train import RunFolder

__all__ = ["run"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Plan:
    """learnt, unseen: lengths of numbers. test: held-out problems of each length."""

    budget: Budget
    learnt: tuple[int, ...]
    unseen: tuple[int, ...]
    test: int


FULL = Plan(
    Budget(GPTConfig(len(ALPHABET), 64, 2, 4, 96), 3000, 1000, 32, 8, 2000, 1000),
    (2, 3, 5),
    (4, 6),
    100,
)
QUICK = Plan(Budget(GPTConfig(len(ALPHABET), 64, 1, 2, 32), 3, 2, 4, 2, 4, 2), (2,), (3,), 4)


def run(config: TaskConfig) -> Outcome:
    """The task. Errors: those of `fit`."""
    began = time.perf_counter()
    folder, plan = open_task(config), QUICK if config.quick else FULL
    tokenizer, seed = CharTokenizer(ALPHABET), config.seed
    folder.write(folder.tokenizer, tokenizer.to_json())
    budget, rng = plan.budget, np.random.default_rng((seed, 2))
    asked = held_out_problems((*plan.learnt, *plan.unseen), plan.test, seed)
    lengths = np.array([p.length for p in asked])

    def batches(with_steps: bool, seed: int) -> SumRows:
        size = budget.batch, budget.shape.context
        return SumRows(tokenizer, plan.learnt, with_steps, *size, seed)

    exam = Exam(
        lambda: GPT(budget.shape, seed),
        (SumForm(tokenizer, False), SumForm(tokenizer, True)),
        batches,
        asked,
        [drawn(rng, int(rng.choice(plan.learnt)), False) for _ in range(budget.judged)],
    )
    found = answers_of(config, budget, exam)
    rows = rows_of(found, lambda right: _by_part(right, np.isin(lengths, plan.unseen)))
    _draw(folder, found, lengths)
    outcome = _outcome(config, plan, rows, found, lengths, began)
    write_outcome(folder, outcome)
    return outcome


def _by_part(right: Array, is_unseen: Array) -> tuple[tuple[str, str], ...]:
    return (
        ("learnt lengths", bootstrap(right[~is_unseen]).text()),
        ("lengths never learnt", bootstrap(right[is_unseen]).text()),
    )


def _draw(folder: RunFolder, found: Sequence[Answers], lengths: Array) -> None:
    lines: dict[str, dict[float, Figure | float]] = {
        f"{one.name}, {way}": {
            float(n): bootstrap(values[lengths == n]) for n in sorted(set(lengths.tolist()))
        }
        for one in found
        for way, values in one.right.items()
        if way != ANY and (one.name == EARLY or way == GREEDY)
    }
    picture, (axes,) = panels()
    curves(axes, lines)
    axes.set(xlabel="digits of the numbers", ylabel="share of additions that are right")
    axes.set(ylim=(-0.02, 1.02), xticks=sorted(set(lengths.tolist())))
    write_picture(folder, picture)


def _outcome(
    config: TaskConfig,
    plan: Plan,
    rows: list[Row],
    found: Sequence[Answers],
    lengths: Array,
    began: float,
) -> Outcome:
    named = {row.method: row for row in rows}
    best, plain = named[f"{STEPS}, {VERIFIED}"], named[f"{DIRECT}, {GREEDY}"]
    right = {one.name: one.right for one in found}
    by_length = [
        f"{n} digits{' (never learnt)' if n in plan.unseen else ''}: "
        + ", ".join(f"{right[m][GREEDY][lengths == n].mean():.0%} {m}" for m in (DIRECT, STEPS))
        for n in sorted(set(lengths.tolist()))
    ]
    return Outcome(
        name="arithmetic",
        what="Additions of numbers, by GPTs of one size that read the same number of tokens: the "
        "answer alone or steps first; greedy, by vote of samples, and by a trained verifier.",
        data=f"Made as they are read: numbers of {plan.learnt} digits to learn from; "
        f"{plan.test} held-out additions of each length, and of {plan.unseen} digits, which are "
        "never learnt.",
        command="tinygrad-tx finetune arithmetic --out runs/arithmetic",
        metric="additions that are right, all lengths",
        baseline_name=plain.method,
        baseline=plain.score,
        score=best.score,
        trained=best.trained,
        seconds=seconds_since(began, *(max(one.seconds.values()) for one in found)),
        rows=tuple(rows),
        notes=(
            *notes_of(found, plan.budget),
            "In a row of tokens there is room for fewer sums with a scratchpad.",
            *by_length,
        ),
        quick=config.quick,
    )
