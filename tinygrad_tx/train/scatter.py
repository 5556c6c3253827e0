"""The picture of a search: the loss of each trial by each setting that varied."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tinygrad_tx.plots import picture_bytes
from tinygrad_tx.train.curves import COLOURS
from tinygrad_tx.train.trials import FAILED, FINISHED, Found

__all__ = ["scatter"]

ACROSS = 4
MARKS = "filled: finished; hollow: stopped early or not over; cross: failed; circled: the best"


def scatter(found: Found, format: str) -> bytes:
    """A panel for each setting that varied; crosses stand at the top, where no loss is known."""
    names = list(found.space.axes)
    down = -(-len(names) // ACROSS)
    across = min(len(names), ACROSS)
    figure = Figure(figsize=(max(5.0, 3.6 * across), 3.4 * down), layout="constrained")
    panels = figure.subplots(down, across, sharey=True, squeeze=False)
    for i, panel in enumerate(panels.flat):
        if i >= len(names):
            panel.set_visible(False)
            continue
        _panel(panel, found, names[i])
        if i % ACROSS == 0:
            panel.set_ylabel(f"best held out (nats for each {found.unit.name})")
    figure.supxlabel(MARKS, fontsize=8, color="#444444")
    return picture_bytes(figure, format)


def _panel(axes: Axes, found: Found, name: str) -> None:
    axis, unit, best = found.space.axes[name], found.unit, found.best
    places: Mapping[Any, float] = {}
    if not axis.is_numeric:
        values = list(dict.fromkeys(t.settings[name] for t in found.trials))
        places = {value: i for i, value in enumerate(values)}
        axes.set_xticks(range(len(values)), [str(v) for v in values])
    elif axis.is_log:
        axes.set_xscale("log")
    for trial in found.trials:
        x, y = places.get(trial.settings[name], trial.settings[name]), trial.loss(unit)
        if trial.state == FAILED or y == math.inf:
            if trial.state == FAILED:
                axes.plot(
                    x, 0.98, "x", transform=axes.get_xaxis_transform(), color=COLOURS[1], zorder=3
                )
            continue
        face = COLOURS[0] if trial.state == FINISHED else "white"
        axes.plot(x, y, "o", color=COLOURS[0], markerfacecolor=face, markersize=6, alpha=0.85)
        if best is not None and trial.number == best.number:
            axes.plot(x, y, "o", color=COLOURS[4], markerfacecolor="none", markersize=12)
    axes.set_xlabel(name)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
