"""Pictures: heat maps with words in their cells, and texts whose tokens are coloured."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

from tinygrad_tx.viz.chart import Chart

__all__ = ["coloured_words", "heat_map", "picture_bytes", "wide"]

Array = np.ndarray[Any, Any]

# Matplotlib takes a character from the first family that has it; what is not installed is left out.
_FAMILIES = (
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "PingFang SC",
    "Microsoft YaHei",
)
LONGEST = 10  # of a word in a cell, in columns of a terminal


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
    with _fonts():
        if axes is None:
            size = (1.8 + 0.62 * len(columns), 1.4 + 0.32 * len(rows))
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
        figure.colorbar(image, ax=axes, label=label)
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
    with _fonts(even=True):
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


def picture_bytes(figure: Figure, format: str = "svg") -> bytes:
    """The picture as "svg", whose text stays text, or "png"."""
    out = io.BytesIO()
    # A date would make two pictures of the same figures differ.
    metadata = {"Date": None} if format == "svg" else None
    with _fonts():
        figure.savefig(out, format=format, dpi=150, metadata=metadata)
    return out.getvalue()


def wide(word: str) -> int:
    """How many columns it takes: two for a character of East Asian width."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in word)


def short(word: str) -> str:
    """`word`, cut to what a cell holds."""
    if wide(word) <= LONGEST:
        return _plain(word)
    kept = ""
    for c in word:
        if wide(kept + c) >= LONGEST:
            break
        kept += c
    return _plain(kept + "…")


def _plain(word: str) -> str:
    """Matplotlib would read a formula between dollars."""
    return word.replace("$", r"\$")


def _fonts(even: bool = False) -> Any:
    """The families of what is drawn inside; even: characters of one width."""
    known = {f.name for f in fontManager.ttflist}
    wanted = ("DejaVu Sans Mono", *_FAMILIES) if even else _FAMILIES
    families = [name for name in wanted if name in known] or ["sans-serif"]
    settings: dict[Any, Any] = {
        "font.family": families,
        "svg.hashsalt": "tinygrad_tx",
        "svg.fonttype": "none",
    }
    # Words of texts may hold dollar signs: they are no formulas.
    return matplotlib.rc_context({**settings, "text.parse_math": False})
