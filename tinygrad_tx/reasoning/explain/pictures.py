"""Pictures: heat maps with words in their cells, and texts whose tokens are coloured."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tinygrad_tx.plots import Chart, style

__all__ = ["coloured_words", "heat_map", "wide"]

Array = np.ndarray[Any, Any]

LONGEST = 10  # of a word in a cell, in columns of a terminal
LETTERS = 3  # a map of words no longer than this has narrow cells, so that no page shrinks it


def heat_map(
    cells: Array,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    words: Sequence[Sequence[str]] | None = None,
    title: str = "",
    label: str = "",
    signed: bool = False,
    axes: Axes | None = None,
) -> Figure:
    """A map of `cells` (rows, columns) with a scale; the first row is at the bottom.

    words: in each cell. signed: red and blue around 0, else from 0 up. Cells that are NaN are grey.
    """
    with style():
        if axes is None:
            shown = [*columns, *(word for row in words or () for word in row)]
            letters = all(wide(short(word)) <= LETTERS for word in shown)
            size = (1.8 + (0.36 if letters else 0.62) * len(columns), 1.4 + 0.32 * len(rows))
            axes = Chart(figsize=size, layout="constrained").subplots()
        top = float(np.nanmax(np.abs(cells))) if np.isfinite(cells).any() else 1.0
        top = top or 1.0
        low = min(0.0, float(np.nanmin(cells))) if np.isfinite(cells).any() else 0.0
        colours = matplotlib.colormaps["RdBu_r" if signed else "Blues"].with_extremes(bad="#bbbbbb")
        image = axes.imshow(
            np.ma.masked_invalid(cells),
            aspect="auto", origin="lower", cmap=colours, vmin=-top if signed else low, vmax=top,
        )  # fmt: skip
        axes.set_xticks(range(len(columns)), [short(c) for c in columns], rotation=60, ha="right")
        axes.set_yticks(range(len(rows)), rows)
        axes.tick_params(labelsize=8, length=0)
        axes.set_title(title, fontsize=10)
        figure: Figure = axes.figure  # type: ignore[assignment]
        figure.colorbar(image, ax=axes).set_label(label, fontsize=8)
        for i, row in enumerate(words or ()):
            for j, word in enumerate(row):
                share = float(cells[i, j]) / top if np.isfinite(cells[i, j]) else 0.0
                dark = abs(share) > 0.7 if signed else share > 0.6
                colour = "white" if dark else "#222222"
                axes.text(j, i, short(word), ha="center", va="center", fontsize=7, color=colour)
        figure.draw_without_rendering()
    return figure


def coloured_words(
    words: Sequence[str], scores: Array, title: str = "", columns: int = 72
) -> Figure:
    """A text whose tokens stand on red where the score is positive, on blue where negative."""
    top = float(np.nanmax(np.abs(scores))) if np.isfinite(scores).any() else 0.0
    colours = matplotlib.colormaps["RdBu_r"]
    places, line, column = [], 0, 0
    for word in words:
        length = wide(word) + 1
        if column and column + length > columns:
            line, column = line + 1, 0
        places.append((line, column))
        column += length
    with style(even=True):
        size = (0.085 * columns, 0.7 + 0.34 * (line + 1))
        figure = Chart(figsize=size, layout="constrained")
        axes = figure.subplots()
        axes.set(xlim=(0, columns), ylim=(-line - 0.7, 0.7))
        axes.set_axis_off()
        axes.set_title(title, fontsize=10, loc="left")
        for word, score, (row, start) in zip(words, scores, places, strict=True):
            at = 0.5 + 0.5 * float(score) / top if top and np.isfinite(score) else 0.5
            colour = "white" if abs(at - 0.5) > 0.35 else "#222222"
            box = {"facecolor": colours(at), "edgecolor": "none", "boxstyle": "square,pad=0.25"}
            axes.text(start, -row, word, fontsize=9, va="center", color=colour, bbox=box)
        figure.draw_without_rendering()
    return figure


def wide(word: str) -> int:
    """How many columns it takes: two for a character of East Asian width."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in word)


def short(word: str) -> str:
    """`word`, cut to what a cell holds."""
    if wide(word) <= LONGEST:
        return word
    kept = ""
    for c in word:
        if wide(kept + c) >= LONGEST:
            break
        kept += c
    return kept + "…"
