"""Prompting SmolLM2 as it is: what is a docstring of Python's library about?

The first lines of docstrings of a few modules, each with the subject of its module; zero-shot,
few-shot and calibrated, against counting in the same few demonstrations and in many more.
"""

from __future__ import annotations

import ast
import hashlib
import sysconfig
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.models import from_package
from tinygrad_tx.prompt.score import Demonstration, score
from tinygrad_tx.prompt.template import Template
from tinygrad_tx.prompt.verbalizer import Verbalizer
from tinygrad_tx.tasks.naive_bayes import NaiveBayes
from tinygrad_tx.tasks.picture import bars, panels, write_picture
from tinygrad_tx.tasks.stage import open_task
from tinygrad_tx.tasks.table import write_outcome
from tinygrad_tx.tasks.task import Figure, Outcome, Row, TaskConfig, bootstrap, over_runs

__all__ = ["MODEL", "SUBJECTS", "first_lines", "run"]

MODEL = "smollm2-135m-instruct"
SUBJECTS = {
    "mathematics": ("fractions", "statistics", "random", "decimal", "_pydecimal", "numbers"),
    "dates": ("datetime", "_pydatetime", "calendar", "_strptime", "zoneinfo", "email/utils"),
    "email": ("mailbox", "email", "smtplib", "imaplib", "poplib"),
    "files": ("pathlib", "shutil", "tempfile", "zipfile", "tarfile", "fileinput", "glob"),
    "threads": ("threading", "concurrent", "multiprocessing", "queue", "asyncio"),
}
"""Subjects, and the modules or packages that are about them."""
TEMPLATE = Template("Python docstring: {text:cut}\nSubject (one word): {mask}")
VERBALIZER = Verbalizer({subject: [subject] for subject in SUBJECTS})
EMPTY = ({"text": "N/A"}, {"text": ""}, {"text": "..."})
BAYES = "naive Bayes"
LONGEST = 100
"""Characters of a first line that are read."""


@dataclass(frozen=True)
class Plan:
    """How many examples are asked about, draws of demonstrations, and demonstrations a subject."""

    test: int
    draws: int
    shots: int


FULL = Plan(150, 2, 1)
QUICK = Plan(5, 1, 1)


def first_lines() -> list[tuple[str, str]]:
    """First lines of docstrings with their subjects, each text once, in the order of a hash.

    Errors: DataError where the library's source is not there.
    """
    root = Path(sysconfig.get_path("stdlib"))
    found: dict[str, str] = {}
    both = set()
    for subject, modules in SUBJECTS.items():
        for name in modules:
            place = root / name
            paths = sorted(place.rglob("*.py")) if place.is_dir() else [root / f"{name}.py"]
            for path in (p for p in paths if p.is_file()):
                for line in _lines(path):
                    if found.setdefault(line, subject) != subject:
                        both.add(line)
    kept = [line for line in found if line not in both]
    if {found[line] for line in kept} != set(SUBJECTS):
        what = f"{root} has no source of Python's library"
        raise DataError(explain("docstrings", what, remedy="use a Python with its .py files"))
    kept.sort(key=lambda line: hashlib.sha256(line.encode()).hexdigest())
    return [(line, found[line]) for line in kept]


def _lines(path: Path) -> list[str]:
    """First lines of the docstrings of functions and classes in a file, of four words or more."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    texts = [ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, kinds)]
    lines = [
        text.strip().splitlines()[0].strip()[:LONGEST] for text in texts if text and text.strip()
    ]
    return [line for line in lines if len(line.split()) >= 4]


def run(config: TaskConfig) -> Outcome:
    """The experiment. Errors: CheckpointError without the weights, DataError without the source."""
    began = time.perf_counter()
    folder, plan, say = open_task(config), QUICK if config.quick else FULL, config.watch.say
    model, tokenizer = from_package(MODEL)
    test, pool = balanced(first_lines(), plan.test)
    examples = [{"text": text} for text, _ in test]
    truth = np.array([VERBALIZER.labels.index(subject) for _, subject in test])
    say(f"{len(test)} docstrings to judge, {len(pool):,} to take demonstrations from")
    draws = [demonstrations(pool, plan.shots, (config.seed, i)) for i in range(plan.draws)]
    rows = []

    def note(name: str, runs: list[Any], started: float) -> None:
        score_ = over_runs(runs) if len(runs) > 1 else bootstrap(runs[0])
        rows.append(Row(name, score_, 0, time.perf_counter() - started))
        say(f"{name}: {score_.text()}")

    for name, shown in (("zero-shot", [[]]), ("few-shot", draws)):
        started, plain, even = time.perf_counter(), [], []
        for i, some in enumerate(shown):
            every = [*examples, *EMPTY]
            found = score(model, tokenizer, TEMPLATE, VERBALIZER, every, some, seed=i, batch=8)
            chances, free = found[: len(examples)], found[len(examples) :].mean(0)
            plain.append(chances.argmax(1) == truth)
            even.append((chances / free).argmax(1) == truth)
        note(name, plain, started)
        note(f"{name}, calibrated", even, started)
    counted = [_counting(d, examples) == truth for d in draws]
    note(f"{BAYES}, the same demonstrations", counted, time.perf_counter())
    started = time.perf_counter()
    many = _counting([({"text": t}, s) for t, s in pool], examples)
    note(f"{BAYES}, {len(pool):,} labels", [many == truth], started)
    picture, (axes,) = panels()
    bars(axes, [r.method for r in rows], [r.score for r in rows])
    axes.set(xlabel="accuracy on docstrings of five subjects")
    write_picture(folder, picture)
    outcome = _outcome(config, plan, rows, len(test), len(pool), began)
    write_outcome(folder, outcome)
    return outcome


def balanced(
    lines: Sequence[tuple[str, str]], count: int
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """`count` lines, as many of each subject, and the others."""
    each = max(1, count // len(SUBJECTS))
    test = [p for s in SUBJECTS for p in [q for q in lines if q[1] == s][:each]]
    chosen = {text for text, _ in test}
    return test, [p for p in lines if p[0] not in chosen]


def demonstrations(
    pool: Sequence[tuple[str, str]], shots: int, seed: tuple[int, int]
) -> list[Demonstration]:
    """`shots` lines of each subject."""
    rng = np.random.default_rng(seed)
    found: list[Demonstration] = []
    for subject in SUBJECTS:
        own = [text for text, s in pool if s == subject]
        found += [({"text": own[i]}, subject) for i in rng.choice(len(own), shots, replace=False)]
    return found


def _counting(shown: Sequence[Demonstration], examples: Sequence[Any]) -> np.ndarray[Any, Any]:
    """What naive Bayes says that learnt from the demonstrations alone."""
    labels = [VERBALIZER.labels.index(label) for _, label in shown]
    model = NaiveBayes([example["text"] for example, _ in shown], labels, len(SUBJECTS))
    return model.predict([example["text"] for example in examples])


def _outcome(
    config: TaskConfig, plan: Plan, rows: list[Row], test: int, pool: int, began: float
) -> Outcome:
    named = {row.method: row for row in rows}
    few: Figure = named["few-shot, calibrated"].score
    return Outcome(
        name="docstrings",
        what="What is a docstring of Python's library about? SmolLM2-135M-Instruct as it is, asked "
        "by a template for one of five words.",
        data=f"First lines of docstrings in the standard library of the running Python: {test} to "
        f"judge, as many of each subject; {pool:,} others.",
        command="tinygrad-tx prompt docstrings --out runs/docstrings",
        metric=f"accuracy, {plan.shots * len(SUBJECTS)} demonstrations, calibrated",
        baseline_name=f"{BAYES}, the same demonstrations",
        baseline=named[f"{BAYES}, the same demonstrations"].score,
        score=few,
        trained=0,
        seconds=time.perf_counter() - began,
        rows=tuple(rows),
        notes=(
            f"Chance is {1 / len(SUBJECTS):.0%}.",
            f"Few-shot: {plan.draws} draws of demonstrations and orders.",
            "The model may have read these docstrings, with their modules, in pretraining.",
            f"A line is read up to {LONGEST} characters.",
        ),
        quick=config.quick,
    )
