"""search: trains once for each of many settings, each in a run folder, the best first in a table.

What is known of a trial stands in its folder alone: a search that was killed reads the folders and
goes on, and decides the same.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinygrad_tx.errors import CheckpointError, DataError, TinygradTxError, explain
from tinygrad_tx.train.halving import Halving
from tinygrad_tx.train.progress import Pause, Progress, Result
from tinygrad_tx.train.run import RunFolder
from tinygrad_tx.train.space import Settings, Space
from tinygrad_tx.train.trials import FAILED, FINISHED, STARTED, STOPPED, Found, Trial
from tinygrad_tx.untrusted import parse_json, read_text

__all__ = ["Budget", "Train", "read_plan", "search"]

Train = Callable[[Settings, RunFolder, bool, Callable[[Progress], None]], Result]
"""Trains with these settings in this folder, going on there if the third is true, and tells the
fourth of each step: `fit` with its `resume` and `on_step`."""


@dataclass(frozen=True)
class Budget:
    """Of one call, all its trials together: steps of training, seconds by the clock."""

    steps: float = math.inf
    seconds: float = math.inf

    def __post_init__(self) -> None:
        if not (self.steps > 0 and self.seconds > 0):
            what = f"{self.steps} steps and {self.seconds} seconds"
            raise DataError(explain("search", f"a budget of {what} trains nothing"))


def search(
    train: Train,
    space: Space,
    out: Path | str,
    *,
    random: int | None = None,
    seed: int = 0,
    halving: Halving | None = None,
    budget: Budget | None = None,
    keep: int | None = None,
    resume: bool = False,
    notes: Mapping[str, Any] | None = None,
    on_step: Callable[[Trial, Progress], None] = lambda trial, progress: None,
    on_trial: Callable[[Found], None] = lambda found: None,
) -> Found:
    """Trains with every point of `space`, or with `random` points drawn by `seed`.

    Leaves search.json (what was asked, with `notes`), trials/001, ..., runs.md and .json, rewritten
    after each trial, and at the end runs.svg and compare.svg with their .png. halving: ends the
    worse half early, several times; `train` must then validate at its rungs. keep: of all but so
    many best trials the weights are deleted. A trial that fails is a row with its reason. With
    `resume` it goes on where it stopped, with the same bits; `random` may then be larger.

    Ctrl-C and a spent budget end it with all saved, and `stopped` says so. Errors: DataError for a
    space without points, or where no trial came to a loss; CheckpointError for folders that cannot
    be written, or hold another search.
    """
    if keep is not None and keep < 1:
        raise DataError(explain("search", f"keep is {keep}", remedy="keep at least the best one"))
    points = space.points(random, seed)
    plan = {
        "space": space.text(),
        "random": random,
        "seed": seed,
        "halving": None if halving is None else vars(halving),
        "notes": dict(notes or {}),
    }
    folder = RunFolder(out)
    with folder.held():
        _write_plan(folder, plan, resume)
        trials = [
            Trial.read(i, point, folder.path / "trials" / f"{i:03d}")
            for i, point in enumerate(points, 1)
        ]
        work = _Search(train, space, folder, trials, keep, budget or Budget(), on_step, on_trial)
        found = work.whole(halving)
        found.write_pictures(folder)
    return _with_a_loss(found, folder)


def _with_a_loss(found: Found, folder: RunFolder) -> Found:
    """Errors: DataError where all is over and no trial came to a held-out loss."""
    if found.best is None and not found.stopped:
        reasons = "; ".join(dict.fromkeys(t.reason.rstrip(".") for t in found.trials[:3]))
        what = f"no trial came to a held-out loss: {reasons}"
        raise DataError(explain(f"search {folder.path}", what, remedy="see runs.md there"))
    return found


def read_plan(out: Path | str) -> dict[str, Any]:
    """What a search was asked for: search.json. Errors: CheckpointError."""
    path = Path(out) / "search.json"
    try:
        plan = parse_json(read_text(path))
        if not isinstance(plan, dict) or not isinstance(plan.get("space"), dict):
            raise ValueError("it names no space")
    except OSError as error:
        what = f"is no folder of a search: search.json cannot be read: {error.strerror}"
        raise CheckpointError(explain(str(out), what)) from None
    except ValueError as error:
        raise CheckpointError(explain(str(path), f"is damaged: {error}")) from None
    return plan


def _write_plan(folder: RunFolder, plan: Mapping[str, Any], resume: bool) -> None:
    """Errors: CheckpointError where the folder holds another search, or this one unasked."""
    path = folder.path / "search.json"
    if path.exists() and not resume:
        what, remedy = "already holds a search", "go on with --resume, or choose another --out"
        raise CheckpointError(explain(f"folder {folder.path}", what, remedy=remedy))
    if path.exists():
        before = read_plan(folder.path)
        for name, value in json.loads(json.dumps(plan)).items():
            same = before.get(name) == value
            more = name == "random" and _is_more(before.get(name), value)
            if not (same or more):
                what = f"holds a search with another {name}: {before.get(name)}, not {value}"
                raise CheckpointError(
                    explain(f"folder {folder.path}", what, remedy="choose another --out")
                )
        # Halvings already decided would be others among more trials.
        if plan["halving"] is not None and before.get("random") != plan["random"]:
            what = "has halved its trials: there can be no more of them"
            raise CheckpointError(explain(f"folder {folder.path}", what))
    folder.write(path, json.dumps(plan, indent=2, ensure_ascii=False) + "\n")


def _is_more(before: Any, now: Any) -> bool:
    return isinstance(before, int) and isinstance(now, int) and now >= before


@dataclass
class _Search:
    train: Train
    space: Space
    folder: RunFolder
    trials: list[Trial]
    keep: int | None
    budget: Budget
    on_step: Callable[[Trial, Progress], None]
    on_trial: Callable[[Found], None]
    stopped: str = ""
    steps: int = 0
    began: float = field(default_factory=time.monotonic)

    def whole(self, halving: Halving | None) -> Found:
        """All trials, or as far as budget and patience reach."""
        try:
            self.all_rungs(halving)
        except Pause as reason:
            self.stopped = str(reason)
        return self.note()

    def all_rungs(self, halving: Halving | None) -> None:
        """Errors: Pause where the budget is spent, or after Ctrl-C."""
        rungs = () if halving is None else halving.rungs(len(self.trials))
        racing = list(range(len(self.trials)))
        for rung in rungs:
            for i in racing:
                self.train_to(i, rung)
            assert halving is not None
            racing = self.halve(halving, racing, rung)
        for i in racing:
            self.train_to(i, None)

    def train_to(self, i: int, rung: int | None) -> None:
        """Until it has validated at that step or later; None: until its end."""
        trial = self.trials[i]
        if trial.state in (FINISHED, STOPPED, FAILED):
            return
        if rung is not None and trial.validated(rung) is not None:
            return
        self.check_budget()
        paused = False

        def on_step(progress: Progress) -> None:
            nonlocal paused
            self.steps += 1
            self.on_step(trial, progress)
            due = progress.validation is not None and rung is not None and progress.step >= rung
            if due or self.is_spent():
                paused = True
                raise Pause

        resume = trial.run.checkpoint.exists()
        trial = self.trials[i] = trial.note(STARTED)
        if not resume:
            trial.run.metrics.unlink(missing_ok=True)
        try:
            result = self.train(trial.settings, trial.run, resume, on_step)
        except CheckpointError:
            raise
        except (TinygradTxError, MemoryError) as error:
            self.trials[i] = trial.note(FAILED, str(error) or "not enough memory")
        else:
            state = STARTED if result.interrupted else FINISHED
            self.trials[i] = trial.note(state)
            if result.interrupted and not paused:
                raise Pause("It was interrupted: go on with --resume.")
        self.on_trial(self.note())
        if self.trials[i].state == STARTED and (rung is None or self._seen(i, rung) is None):
            self.check_budget()

    def is_spent(self) -> bool:
        seconds = time.monotonic() - self.began
        return self.steps >= self.budget.steps or seconds >= self.budget.seconds

    def check_budget(self) -> None:
        if self.is_spent():
            raise Pause("The budget is spent: go on with --resume and another one.")

    def halve(self, halving: Halving, racing: list[int], rung: int) -> list[int]:
        """Those that go on, by what they had come to then, whatever they have come to since."""
        unit, losses = self.note().unit, {}
        for i in racing:
            factor, seen = unit.factor(self.trials[i].history), self._seen(i, rung)
            losses[i] = math.inf if seen is None or factor is None else seen[1] * factor
        ended, best = halving.worse_half(losses), min(losses.values())
        for i in ended:
            if self.trials[i].state == STARTED:
                why = f"step {rung}: {losses[i]:.4g} against {best:.4g} of the best one"
                self.trials[i] = self.trials[i].note(STOPPED, why)
        self.on_trial(self.note())
        return [i for i in racing if i not in ended]

    def _seen(self, i: int, rung: int) -> tuple[int, float] | None:
        """Where it stood at a rung; one whose patience was over before stays where it ended.

        Errors: DataError where it validates too seldom to tell.
        """
        trial = self.trials[i]
        seen = trial.validated(rung)
        if seen is None and trial.state == FINISHED:
            return trial.validated(None)
        if seen is not None and seen[0] >= 2 * rung:
            what = f"trial {trial.number} first validated at step {seen[0]}, to be halved at {rung}"
            remedy = f"let it validate every {rung} steps, or a part of that"
            raise DataError(explain("halving", what, remedy=remedy))
        return seen

    def note(self) -> Found:
        """The table, rewritten; weights that are not to be kept are gone."""
        found = Found(self.space, tuple(self.trials), self.stopped)
        found.write(self.folder)
        if self.keep is not None:
            for trial in found.ranked[self.keep :]:
                if trial.state in (FINISHED, STOPPED, FAILED):
                    for file in trial.run.path.glob("*.safetensors"):
                        file.unlink(missing_ok=True)
        return found
