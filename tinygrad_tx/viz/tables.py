"""A box with heat maps as Graphviz's table markup: cells of colour, no image files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from tinygrad_tx.viz.heatmaps import HeatMap, HeatMaps
from tinygrad_tx.viz.theme import Theme
from tinygrad_tx.viz.words import phrase

__all__ = ["table_of"]

_SIDE = 64  # points of a map
_ACROSS = 4  # maps beside each other in one row, and twice as many where there are several
_PLAIN = 'BORDER="0" CELLBORDER="0" CELLPADDING="0"'


def table_of(words: Sequence[str], maps: HeatMaps, look: Theme, language: str) -> str:
    """A label in angle brackets. All text is escaped: none of it can become markup."""
    rows = [_text(word, 12) for word in words]
    across = _ACROSS * (2 if len(maps.rows) > 1 else 1)
    for name, row in maps.rows:
        if name:
            rows.append(_text(name, 9))
        parts = (row[i : i + across] for i in range(0, len(row), across))
        rows += [_row(part, maps.hottest, look, language) for part in parts]
    rows += [_text(phrase(line, language), 9) for line in maps.lines]
    body = "".join(f"<TR><TD>{row}</TD></TR>" for row in rows)
    return f'<<TABLE {_PLAIN} CELLSPACING="2">{body}</TABLE>>'


def _row(maps: Sequence[HeatMap], hottest: float, look: Theme, language: str) -> str:
    cells = "".join(f"<TD>{_map(m, hottest, look, language)}</TD>" for m in maps)
    return f'<TABLE {_PLAIN} CELLSPACING="3"><TR>{cells}</TR></TABLE>'


def _map(shown: HeatMap, hottest: float, look: Theme, language: str) -> str:
    most = max(len(shown.cells), *map(len, shown.cells), 1)
    side = max(2, _SIDE // most)
    size = f'FIXEDSIZE="TRUE" WIDTH="{side}" HEIGHT="{side}"'
    rows = "".join(
        "<TR>" + "".join(f"<TD {size}{_fill(v, hottest, look)}></TD>" for v in row) + "</TR>"
        for row in shown.cells
    )
    # The ground shows in the seams between cells where a renderer smooths their edges; it is the
    # colour of the coldest cells, which need none of their own: half of them under a causal mask.
    edge = f'BORDER="1" COLOR="{look.line}" CELLBORDER="0" CELLPADDING="0" CELLSPACING="0"'
    table = f'<TABLE {edge} BGCOLOR="{look.cold}">{rows}</TABLE>'
    title = f"<TR><TD>{_text(phrase(shown.title, language), 8)}</TD></TR>"
    return f'<TABLE {_PLAIN} CELLSPACING="1">{title}<TR><TD>{table}</TD></TR></TABLE>'


def _fill(value: float, hottest: float, look: Theme) -> str:
    if not math.isfinite(value):
        return f' BGCOLOR="{look.mark}"'
    colour = look.warm(value / hottest if hottest > 0 else 0.0)
    return "" if colour == look.cold else f' BGCOLOR="{colour}"'


def _text(text: str, size: int) -> str:
    """Text that Graphviz and its XML reader take as it stands."""
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    # Graphviz puts names in place of \N, \G and the like inside tables too.
    safe = escape(plain).replace("\\", "\\\\")
    return f'<FONT POINT-SIZE="{size}">{safe or " "}</FONT>'
