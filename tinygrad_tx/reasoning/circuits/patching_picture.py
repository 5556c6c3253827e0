"""The picture of patching: points by positions, heads or units, coloured by what came back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tinygrad_tx.plots import picture_bytes, style
from tinygrad_tx.viz.words import translated

__all__ = ["heat_map", "style"]


def heat_map(
    values: np.ndarray[Any, Any],
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
    format: str,
    lang: str = "en",
) -> bytes:
    """values (rows, columns), 0 white; the first row stands at the bottom, as layers do."""
    with style():
        size = (2.5 + 0.42 * max(len(columns), 4), 1.6 + 0.3 * max(len(rows), 3))
        picture = Figure(figsize=size, layout="constrained")
        axes = picture.add_subplot()
        limit = max(1.0, float(np.abs(values).max(initial=0)))
        shown = axes.imshow(
            values, cmap="RdBu", vmin=-limit, vmax=limit, origin="lower", aspect="auto"
        )
        axes.set_yticks(range(len(rows)), rows, fontsize=8)
        upright = max(map(len, columns), default=0) > 3
        axes.set_xticks(range(len(columns)), columns, fontsize=8, rotation=90 if upright else 0)
        if values.size <= 256:
            for (row, column), value in np.ndenumerate(values):
                dark = abs(value) > 0.6 * limit
                colour = "white" if dark else "black"
                place: dict[str, Any] = {"ha": "center", "va": "center", "color": colour}
                axes.text(column, row, f"{round(value, 2) + 0.0:.2f}", fontsize=7, **place)
        axes.set_title(translated(title, lang), fontsize=10)
        picture.colorbar(shown, label=translated("recovered share", lang))
    return picture_bytes(picture, format)
