"""Table: figures under names, as they are printed, written as JSON and shown in a report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

__all__ = ["Table", "shown", "shown_as_table"]

C = TypeVar("C")


@dataclass(frozen=True, repr=False)
class Table:
    """Figures in rows and columns: prints itself, and gives Markdown and JSON.

    rows: a cell for each column: a number, a string, or None for what was not measured.

    notes: what a reader has to know: how it was measured, its limits.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """For a terminal, in columns."""
        cells = [self.columns, *(tuple(map(shown, row)) for row in self.rows)]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.columns))]
        lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in cells]
        return "\n".join([self.title, *(line.rstrip() for line in lines), *self.notes])

    def markdown(self) -> str:
        """For a page of documentation."""
        rows = [self.columns, ("---",) * len(self.columns), *self._shown_rows()]
        body = "\n".join(f"| {' | '.join(row)} |" for row in rows)
        return "\n\n".join([f"**{self.title}**", body, *self.notes])

    def json(self) -> dict[str, Any]:
        """For a script: NumPy numbers become Python's, what is not finite becomes None."""
        rows = [dict(zip(self.columns, map(_plain, row), strict=True)) for row in self.rows]
        return {"title": self.title, "rows": rows, "notes": list(self.notes)}

    def __repr__(self) -> str:
        return self.text()

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def _shown_rows(self) -> Sequence[tuple[str, ...]]:
        return [tuple(shown(c).replace("|", "\\|") for c in row) for row in self.rows]


def shown_as_table(made: type[C]) -> type[C]:
    """For a class with `table()`: that is what a prompt and a notebook show of it.

    What a dataclass shows by itself is all its arrays.
    """

    def text(self: Any) -> str:
        return str(self.table().text())

    def markdown(self: Any) -> str:
        return str(self.table().markdown())

    made.__repr__ = text  # type: ignore[method-assign]
    made._repr_markdown_ = markdown  # type: ignore[attr-defined]
    return made


def shown(value: Any) -> str:
    """A cell as people read it: four significant digits, no more."""
    if value is None:
        return "–"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, (int, np.integer)) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
