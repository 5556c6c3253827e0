"""The picture of a task: curves of scores, or bars, with the baselines as dashed lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from tinygrad_tx.plots import Chart, picture_bytes
from tinygrad_tx.tasks.task import Figure
from tinygrad_tx.train import RunFolder

__all__ = ["bars", "curves", "levels", "panels", "write_picture"]

COLOURS = ("#1f5f99", "#c4572a", "#4f8a5b", "#7b5ea7", "#888888", "#b08d2f")


def panels(count: int = 1) -> tuple[Picture, list[Axes]]:
    """A picture with `count` axes side by side."""
    picture = Chart(figsize=(6.4 * count, 4.2), layout="constrained")
    found = list(picture.subplots(1, count, squeeze=False)[0])
    for axes in found:
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    return picture, found


def curves(axes: Axes, lines: Mapping[str, Mapping[float, Figure | float]]) -> None:
    """Lines by name: from x to a value, with its interval where it has one."""
    for colour, (name, points) in zip(COLOURS, lines.items(), strict=False):
        xs = list(points)
        ys = [p.value if isinstance(p, Figure) else p for p in points.values()]
        axes.plot(xs, ys, "o-" if len(xs) < 20 else "-", color=colour, label=name, markersize=4)
        bounds = [(x, p.low, p.high) for x, p in points.items() if isinstance(p, Figure)]
        if bounds:
            places, low, high = zip(*bounds, strict=True)
            axes.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0)
    # Many names hide what they stand on: above the axes they hide nothing.
    above: dict[str, Any] = {}
    if len(lines) > 4:
        above = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 2}
    axes.legend(frameon=False, **above)


def levels(axes: Axes, baselines: Mapping[str, float]) -> None:
    """A dashed line for each baseline."""
    for name, value in baselines.items():
        axes.axhline(value, color="#666666", linestyle="--", linewidth=1)
        axes.annotate(
            f"{name} {value:.3g}", (0.99, value), xycoords=("axes fraction", "data"),
            ha="right", va="bottom", fontsize=8, color="#444444",
        )  # fmt: skip


def bars(axes: Axes, names: Sequence[str], figures: Sequence[Figure | float]) -> None:
    """Horizontal bars, the first at the top, with intervals."""
    places = range(len(names))
    values = [f.value if isinstance(f, Figure) else f for f in figures]
    axes.barh(places, values, color=COLOURS[0], alpha=0.8)
    for i, f in enumerate(figures):
        if isinstance(f, Figure):
            axes.plot([f.low, f.high], [i, i], color="#222222", linewidth=1.5)
    axes.set_yticks(places, names)
    axes.invert_yaxis()


def write_picture(run: RunFolder, picture: Picture, name: str = "figure") -> None:
    """NAME.svg and NAME.png in the run folder. Errors: CheckpointError."""
    for suffix in ("svg", "png"):
        run.write(run.path / f"{name}.{suffix}", picture_bytes(picture, suffix))
