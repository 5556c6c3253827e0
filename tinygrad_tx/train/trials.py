"""The trials of a search as they stand: a run folder each, and the table of all."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinygrad_tx.table import Table, shown_as_table
from tinygrad_tx.train.compare import compare
from tinygrad_tx.train.history import History, Unit, history_of, unit_of
from tinygrad_tx.train.run import RunFolder
from tinygrad_tx.train.space import Settings, Space
from tinygrad_tx.untrusted import parse_json, read_text

__all__ = ["FAILED", "FINISHED", "STARTED", "STOPPED", "WAITING", "Found", "Trial"]

WAITING, STARTED, FINISHED = "waiting", "started", "finished"
STOPPED, FAILED = "stopped early", "failed"
OVER = (FINISHED, STOPPED, FAILED)
LONGEST_REASON = 160
"""In the table; trial.json has the whole."""


@dataclass(frozen=True)
class Trial:
    """One training of a search: its settings, its run and what became of it.

    number: from 1. reason: why it failed or was stopped.
    """

    number: int
    settings: Settings
    run: RunFolder
    history: History
    state: str = WAITING
    reason: str = ""

    @classmethod
    def read(cls, number: int, settings: Settings, path: Path) -> Trial:
        """As its folder says; a state that cannot be read is that of a trial to go on with."""
        run = RunFolder(path)
        history = history_of(path)
        state = STARTED if history.rows else WAITING
        try:
            note = parse_json(read_text(run.trial))
            said, reason = note["state"], str(note["reason"])
        except (OSError, ValueError, KeyError, TypeError):
            said, reason = state, ""
        return cls(number, settings, run, history, said if said in OVER else state, reason)

    def note(self, state: str, reason: str = "") -> Trial:
        """The same with another state, which its folder then says. Errors: CheckpointError."""
        if not self.run.path.exists():
            self.run.create()
        note = {"settings": dict(self.settings), "state": state, "reason": reason}
        self.run.write(self.run.trial, json.dumps(note, indent=2, ensure_ascii=False) + "\n")
        return Trial.read(self.number, self.settings, self.run.path)

    def validated(self, step: int | None) -> tuple[int, float] | None:
        """The first held-out loss of `step` or later, with its step; None asks for the last."""
        held = self.history.held_out
        if step is None:
            return held[-1] if held else None
        return next(((at, loss) for at, loss in held if at >= step), None)

    def loss(self, unit: Unit) -> float:
        """The lowest held-out loss; infinite where there is none."""
        best, factor = self.history.best, unit.factor(self.history)
        return math.inf if best is None or factor is None else best[1] * factor


@shown_as_table
@dataclass(frozen=True)
class Found:
    """What a search has found so far. stopped: why it ended before all trials were over."""

    space: Space
    trials: Sequence[Trial]
    stopped: str = ""

    @property
    def unit(self) -> Unit:
        """What losses are counted for: characters, where the trials have different tokens."""
        return unit_of([t.history for t in self.trials])

    @property
    def ranked(self) -> list[Trial]:
        """The lowest held-out loss first; those that failed stand at the end."""
        unit = self.unit
        return sorted(self.trials, key=lambda t: (t.state == FAILED, t.loss(unit), t.number))

    @property
    def best(self) -> Trial | None:
        """The trial with the lowest held-out loss that did not fail."""
        first = self.ranked[0]
        return None if first.state == FAILED or first.loss(self.unit) == math.inf else first

    def count(self, state: str) -> int:
        return sum(t.state == state for t in self.trials)

    def table(self) -> Table:
        """A row for each trial, the best first. Losses in nats for each `unit`."""
        unit, names = self.unit, tuple(self.space.axes)
        counts = (f"{self.count(s)} {s}" for s in (*OVER, STARTED, WAITING) if self.count(s))
        figures = ("best held out", "at step", "steps", "seconds", "parameters", "state", "reason")
        return Table(
            f"{len(self.trials)} trials ({', '.join(counts)}), losses in nats for each {unit.name}",
            ("trial", *names, *figures),
            tuple(
                (f"{t.number:03d}", *(t.settings[n] for n in names), *_figures(t, unit))
                for t in self.ranked
            ),
            (self.stopped,) if self.stopped else (),
        )

    def picture(self, format: str) -> bytes:
        """Losses by each setting that varied, as "svg" or "png"."""
        # Here, for who only trains does not wait a third of a second for matplotlib.
        from tinygrad_tx.train.scatter import scatter

        return scatter(self, format)

    def write(self, folder: RunFolder) -> None:
        """runs.md and runs.json. Errors: CheckpointError."""
        table, best = self.table(), self.best
        said = table.json() | {"best": None if best is None else dict(best.settings)}
        whole = json.dumps(said, indent=2, ensure_ascii=False, default=str)
        folder.write(folder.path / "runs.json", whole + "\n")
        pictures = "![Losses by setting](runs.svg)\n\n![Losses by step](compare.svg)"
        folder.write(folder.path / "runs.md", f"{table.markdown()}\n\n{pictures}\n")

    def write_pictures(self, folder: RunFolder) -> None:
        """runs.svg and .png, and what `compare` leaves. Errors: CheckpointError."""
        for suffix in ("svg", "png"):
            folder.write(folder.path / f"runs.{suffix}", self.picture(suffix))
        shown = [t.run.path for t in self.trials if t.history.rows]
        if shown:
            compare(shown, folder.path)


def _figures(trial: Trial, unit: Unit) -> tuple[Any, ...]:
    run, loss = trial.history, trial.loss(unit)
    last: Mapping[str, Any] = run.rows[-1] if run.rows else {}
    return (
        loss if loss < math.inf else None,
        run.best[0] if run.best else None,
        last.get("step"),
        last.get("seconds"),
        run.parameters,
        trial.state,
        textwrap.shorten(trial.reason, LONGEST_REASON, placeholder=" …"),
    )
