"""The picture of mending: what each control leaves of the skew, and what it costs, side by side."""

from __future__ import annotations

import json
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from tinygrad_tx.reasoning.mending.mending import Mending, Trial
from tinygrad_tx.tasks.picture import COLOURS, write_picture
from tinygrad_tx.train import RunFolder

__all__ = ["mending_picture", "write_mending"]

HARM, FINE, GREY = COLOURS[1], COLOURS[0], "#888888"


def mending_picture(mending: Mending) -> Picture:
    """A panel for the skew left, one for each side effect's change; a row for each control.

    Orange: a cost that counts as harm (its interval leaves out 0 on the wrong side). The dashed
    line is the model as it is. Without an interval the mark is hollow.
    """
    names = list(mending.before.costs)
    trials = mending.trials
    size = (3.2 + 2.1 * (1 + len(names)), 0.32 * len(trials) + 1.4)
    picture = Picture(figsize=size, layout="constrained")
    every = picture.subplots(1, 1 + len(names), squeeze=False, sharey=True)[0]
    _skews(every[0], mending)
    for axes, name in zip(every[1:], names, strict=True):
        _costs(axes, trials, name)
    every[0].set_yticks(range(len(trials)), [t.name for t in trials], fontsize=8)
    every[0].set_ylim(len(trials) - 0.5, -0.5)
    picture.suptitle("Controls: 95 % intervals; orange: harm; dashed: as it is", fontsize=10)
    return picture


def write_mending(mending: Mending, folder: str | Path) -> None:
    """mending.json and mending.md (the tables), mending.svg and mending.png. Errors:
    CheckpointError."""
    run = RunFolder(Path(folder))
    run.create()
    tables = [mending.table(), mending.costs(), *(mending.compared(t.name) for t in mending.trials)]
    found = [table.json() for table in tables]
    run.write(run.path / "mending.json", json.dumps(found, indent=1, ensure_ascii=False))
    run.write(run.path / "mending.md", "\n\n".join(t.markdown() for t in tables) + "\n")
    write_picture(run, mending_picture(mending), "mending")


def _skews(axes: Axes, mending: Mending) -> None:
    for row, trial in enumerate(mending.trials):
        face = "white"
        if trial.interval is not None:
            axes.plot([trial.interval.low, trial.interval.high], [row, row], color=FINE)
            face = FINE
        axes.plot([trial.skew], [row], "o", color=FINE, markerfacecolor=face, markersize=5)
    axes.axvline(mending.before.skew, color=GREY, linestyle="--", linewidth=1)
    _dressed(axes, "skew left", "nats")


def _costs(axes: Axes, trials: tuple[Trial, ...], name: str) -> None:
    for row, trial in enumerate(trials):
        cost = trial.costs[name]
        colour = HARM if cost.is_harm else FINE
        face = "white"
        if cost.figure is not None:
            axes.plot([cost.figure.low, cost.figure.high], [row, row], color=colour)
            face = colour
        axes.plot([cost.change], [row], "o", color=colour, markerfacecolor=face, markersize=5)
    axes.axvline(0, color=GREY, linestyle="--", linewidth=1)
    _dressed(axes, name, f"change, {next(iter(trials)).costs[name].unit}" if trials else "")


def _dressed(axes: Axes, title: str, label: str) -> None:
    axes.set_title(title, fontsize=9)
    axes.set_xlabel(label, fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
