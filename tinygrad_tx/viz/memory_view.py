"""The picture of a Program's memory over time."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tinygrad_tx.compiler.program import Program, Step
from tinygrad_tx.plots import picture_bytes
from tinygrad_tx.viz.program_view import role_of, written_by
from tinygrad_tx.viz.theme import THEMES

__all__ = ["memory_picture"]


def memory_picture(program: Program, theme: str, format: str) -> bytes:
    """Each buffer of the arena as a rectangle: from its first to its last step, at its place."""
    look = THEMES[theme]
    figure = Figure(figsize=(9, 5), layout="constrained", facecolor=look.paper)
    axes = figure.subplots()
    axes.set_facecolor(look.paper)
    makers = _makers(program.steps)
    for number, home in enumerate(program.memory):
        if home.kind != "arena" or home.first < 0:
            continue
        corner, width = (home.first, home.offset / 1e6), home.last - home.first + 1
        fill = look.fills[role_of(makers.get(number, ""))]
        axes.add_patch(
            Rectangle(corner, width, home.nbytes / 1e6, facecolor=fill, edgecolor=look.line, lw=0.4)
        )
    axes.axvline(program.commit, color=look.line, linewidth=0.8, linestyle="--")
    axes.set(xlim=(0, max(1, len(program.steps))), ylim=(0, program.arena_bytes / 1e6))
    axes.set_xlabel("step; behind the dashed line state changes", color=look.ink)
    axes.set_ylabel("MB of the arena", color=look.ink)
    axes.tick_params(colors=look.ink)
    return picture_bytes(figure, format)


def _makers(steps: Sequence[Step]) -> dict[int, str]:
    """The operator that first writes each buffer."""
    found: dict[int, str] = {}
    for step in steps:
        for buffer in written_by(step):
            found.setdefault(buffer, step.label.split(" ")[0])
    return found
