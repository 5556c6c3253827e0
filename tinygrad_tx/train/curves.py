"""The picture of several runs: losses by step, by tokens and by seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tinygrad_tx.plots import picture_bytes
from tinygrad_tx.train.history import History, Unit

__all__ = ["COLOURS", "MOST_NAMED", "curves", "shortened"]

COLOURS = ("#1f5f99", "#c4572a", "#4f8a5b", "#7b5ea7", "#222222", "#b08d2f")
STYLES = (("-", "o"), ("--", "s"))
MOST_NAMED = len(COLOURS) * len(STYLES)
"""So many lines can be told apart; the others are grey."""
GREY = "#c4c4c4"
MOST_POINTS = 300
LONGEST_NAME = 40


def curves(runs: Mapping[str, History], unit: Unit, format: str) -> bytes:
    """As "svg" or "png". runs: by name; the first MOST_NAMED have a colour and stand in the key.

    Thin lines are training losses, means of neighbours where there are many; marks are held out.
    """
    figure = Figure(figsize=(13, 4.6), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    drawn_last = list(enumerate(runs.values()))[::-1]  # the first lie on top
    for i, run in drawn_last:
        factor = unit.factor(run)
        for panel, key in zip(axes, ("step", "tokens", "seconds"), strict=True):
            if factor is not None:
                _line(panel, run, key, factor, i)
    for panel, name in zip(axes, ("steps", "tokens seen", "seconds of training"), strict=True):
        panel.set_xlabel(name)
        panel.locator_params(axis="x", nbins=6)  # long numbers stand side by side
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel(f"cross-entropy (nats for each {unit.name})")
    _limit(axes[0], [(r, f) for r in runs.values() if (f := unit.factor(r)) is not None])
    _key(figure, list(runs))
    return picture_bytes(figure, format)


def shortened(name: str) -> str:
    """A name without its middle where it is too long for a key."""
    half = LONGEST_NAME // 2 - 1
    return name if len(name) <= LONGEST_NAME else f"{name[:half]}…{name[-half:]}"


def _look(number: int) -> dict[str, Any]:
    if number >= MOST_NAMED:
        return {"color": GREY, "linestyle": "-", "marker": "."}
    style, marker = STYLES[number // len(COLOURS)]
    return {"color": COLOURS[number % len(COLOURS)], "linestyle": style, "marker": marker}


def _line(axes: Axes, run: History, key: str, factor: float, number: int) -> None:
    look = _look(number)
    rows = [r for r in run.rows if key in r]
    if not rows:
        return
    every = np.array([[r[key], r["loss"] * factor] for r in rows])
    axes.plot(*_thinned(every).T, color=look["color"], alpha=0.35, linewidth=0.9)
    held = [(r[key], r["validation"] * factor) for r in rows if "validation" in r]
    if held:
        thin = _thinned(np.array(held))
        axes.plot(*thin.T, **look, markersize=3.5, linewidth=1.4)


def _thinned(points: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """At most MOST_POINTS: means of neighbours, so that long runs are small pictures."""
    if len(points) <= MOST_POINTS:
        return points
    return np.array([part.mean(0) for part in np.array_split(points, MOST_POINTS)])


def _limit(axes: Axes, runs: Sequence[tuple[History, float]]) -> None:
    """A run that diverges leaves the picture at the top, so that the others can be seen."""
    losses = [np.array([r["loss"] for r in run.rows]) * f for run, f in runs if run.rows]
    if not losses:
        return
    held = [loss * f for run, f in runs for _, loss in run.held_out]
    low = min(*(float(v.min()) for v in losses), *held, *(float(v.max()) for v in losses))
    usual = max(max(float(v[0]), float(np.median(v))) for v in losses)
    bests = [best[1] * f for run, f in runs if (best := run.best) is not None]
    high = max([usual, *(b for b in bests if b < 3 * usual)])
    room = 0.06 * max(high - low, 1e-6)
    axes.set_ylim(low - room, high + room)


def _key(figure: Figure, names: Sequence[str]) -> None:
    """Under the panels, as many columns as fit."""
    handles = [
        Line2D([], [], **_look(i), markersize=4, label=shortened(name))
        for i, name in enumerate(names[:MOST_NAMED])
    ]
    if len(names) > MOST_NAMED:
        others = f"{len(names) - MOST_NAMED} others"
        handles.append(Line2D([], [], **_look(MOST_NAMED), label=others))
    handles.append(Line2D([], [], color="#888888", alpha=0.5, linewidth=0.9, label="training"))
    longest = max(len(str(h.get_label())) for h in handles)
    columns = min(len(handles), max(1, 150 // (longest + 8)))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize=9
    )
