"""The picture of an audit: each effect with its interval, beside the line of no difference."""

from __future__ import annotations

import json
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from tinygrad_tx.reasoning.audits.audit import Audit, Effect
from tinygrad_tx.tasks.picture import COLOURS, write_picture
from tinygrad_tx.train import RunFolder

__all__ = ["forest", "write_audit"]

FOUND, OPEN = COLOURS[1], COLOURS[0]
GREY = "#888888"


def forest(audit: Audit) -> Picture:
    """A panel for each unit; what differs after correction is orange, what does not blue.

    A grey line behind the interval reaches over templates. Effects without an interval are hollow,
    those without a value are said so.
    """
    units = list(dict.fromkeys(e.unit for e in audit))
    sizes = [sum(e.unit == u for e in audit) for u in units]
    height = 0.6 * len(units) + 0.27 * sum(sizes) + 0.6
    picture = Picture(figsize=(7.6, height), layout="constrained")
    every = picture.subplots(len(units), 1, squeeze=False, height_ratios=[s + 1.2 for s in sizes])
    for axes, unit in zip(every[:, 0], units, strict=True):
        _panel(axes, [e for e in audit if e.unit == unit], unit)
    picture.suptitle(f"{audit.title}: 95 % intervals; orange: p below 0.05 ({audit.correction})",
                     fontsize=10)  # fmt: skip
    return picture


def write_audit(audit: Audit, folder: str | Path) -> None:
    """audit.json, audit.md, and the picture as audit.svg and audit.png. Errors: CheckpointError."""
    run = RunFolder(Path(folder))
    run.create()
    run.write(run.path / "audit.json", json.dumps(audit.json(), indent=1, ensure_ascii=False))
    run.write(run.path / "audit.md", audit.table().markdown() + "\n")
    write_picture(run, forest(audit), "audit")


def _panel(axes: Axes, effects: list[Effect], unit: str) -> None:
    for row, effect in enumerate(effects):
        if effect.value is None:
            axes.text(0.5, row, effect.note or "not measured", fontsize=8, va="center", color=GREY,
                      ha="center", transform=axes.get_yaxis_transform())  # fmt: skip
            continue
        colour = FOUND if effect.is_found() else OPEN
        if effect.spread is not None:
            axes.plot(effect.spread, [row, row], color="#cccccc", linewidth=5, zorder=1)
        if effect.null:
            axes.plot([effect.null], [row], "|", color="#222222", markersize=10)
        if effect.figure is not None:
            axes.plot([effect.figure.low, effect.figure.high], [row, row], color=colour, zorder=2)
        face = colour if effect.figure is not None else "white"
        axes.plot([effect.value], [row], "o", color=colour, markerfacecolor=face, zorder=3)
    if all(e.null == 0 for e in effects):
        axes.axvline(0, color="#222222", linewidth=0.8)
    axes.set_yticks(range(len(effects)), [e.name for e in effects], fontsize=8)
    axes.set_ylim(len(effects) - 0.4, -0.6)
    axes.set_xlabel(unit, fontsize=9)
    axes.grid(alpha=0.25, axis="x")
    axes.spines[["top", "right"]].set_visible(False)
