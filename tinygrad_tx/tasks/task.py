"""What every task takes and gives: its settings, its figures with intervals, its outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_tx.train import Progress

__all__ = ["Figure", "Outcome", "Row", "TaskConfig", "Watch", "bootstrap", "over_runs"]


class Watch:
    """Who is told what a task does. This one is silent; the command line's has a bar."""

    def say(self, text: str) -> None:
        """One line."""

    @contextmanager
    def stage(self, name: str, steps: int) -> Iterator[Callable[[Progress], None]]:
        """While a training of `steps` steps runs; gives what is called after each."""
        yield lambda progress: None


@dataclass(frozen=True)
class TaskConfig:
    """Settings of a task. quick: everything small, for a test; the figures then mean nothing."""

    out: Path
    quick: bool = False
    seed: int = 0
    resume: bool = False
    """Whether stages of training that `out` holds already are read, or gone on with."""
    pretrained: Path | None = None
    """A stage `pretraining` of another run on the same texts, instead of a new one."""
    watch: Watch = field(default_factory=Watch)


@dataclass(frozen=True)
class Figure:
    """A measured value and its 95 % interval."""

    value: float
    low: float
    high: float

    def text(self, percent: bool = True) -> str:
        """As in "81.2 % (80.1 to 82.3)"."""
        if not percent:
            return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"
        return f"{self.value:.1%} ({self.low:.1%} to {self.high:.1%})".replace("%", " %")


@dataclass(frozen=True)
class Row:
    """A method with its score, in the table of a task. trained: parameters; 0 for counting."""

    method: str
    score: Figure
    trained: int = 0
    seconds: float = 0.0
    more: tuple[tuple[str, str], ...] = ()
    """Further columns of this task's table: (title, text)."""


@dataclass(frozen=True)
class Outcome:
    """What came of a task: the line of the results table, and the rows behind it."""

    name: str
    what: str
    """What it is, in one sentence."""
    data: str
    """Where the examples come from, and how many."""
    command: str
    metric: str
    baseline_name: str
    baseline: Figure
    score: Figure
    trained: int
    """Parameters that were trained."""
    seconds: float
    """Of the whole task, data and baselines included."""
    rows: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()
    """Findings in words, for the summary."""
    quick: bool = False
    percent: bool = True
    """Whether the metric is a share, shown in per cent."""


def bootstrap(
    values: np.ndarray[Any, Any],
    groups: np.ndarray[Any, Any] | None = None,
    seed: int = 0,
    draws: int = 1000,
) -> Figure:
    """The mean of `values`, one for each example, with its 95 % interval.

    groups: a number for each value; values of one group (words of a sentence) are resampled
    together, because they are not independent.
    Source: Efron and Tibshirani 1993, chapter 13 (percentile interval).
    """
    values = np.asarray(values, np.float64)
    if not values.size:
        raise ValueError("bootstrap: there are no values.")
    rng = np.random.default_rng(seed)
    _, group = np.unique(np.arange(len(values)) if groups is None else groups, return_inverse=True)
    sums, sizes = np.bincount(group, values), np.bincount(group)
    means = []
    for _ in range(draws):
        some = rng.integers(0, len(sums), len(sums))
        means.append(sums[some].sum() / sizes[some].sum())
    low, high = np.quantile(means, [0.025, 0.975])
    return Figure(float(values.mean()), float(low), float(high))


def over_runs(runs: list[np.ndarray[Any, Any]], seed: int = 0, draws: int = 1000) -> Figure:
    """The mean over runs of different seeds; the interval resamples runs and examples.

    With few runs the spread between them is estimated roughly: the summary gives their number.
    """
    found = np.asarray(runs, np.float64)  # (runs, examples)
    rng = np.random.default_rng(seed)
    means = []
    for _ in range(draws):
        some = found[rng.integers(0, len(found), len(found))].mean(0)
        means.append(some[rng.integers(0, len(some), len(some))].mean())
    low, high = np.quantile(means, [0.025, 0.975])
    return Figure(float(found.mean()), float(low), float(high))
