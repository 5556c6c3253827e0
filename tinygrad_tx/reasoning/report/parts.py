"""What a report is made of: sections of parts, each shown on the page and written as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_tx.errors import ShapeError, explain
from tinygrad_tx.table import Table

__all__ = ["Coloured", "Grid", "Maps", "Part", "Picture", "Prose", "Section"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Prose:
    """A paragraph."""

    text: str

    def json(self) -> dict[str, Any]:
        return {"text": self.text}


@dataclass(frozen=True)
class Coloured:
    """Tokens coloured by signed scores: (time,) each. marked: the token that they speak of."""

    tokens: Sequence[str]
    scores: Array
    caption: str
    marked: int | None = None

    def __post_init__(self) -> None:
        _check("Coloured", self.scores, (len(self.tokens),))

    def json(self) -> dict[str, Any]:
        return {"caption": self.caption, "tokens": list(self.tokens), "scores": _list(self.scores)}


@dataclass(frozen=True)
class Grid:
    """A number in each cell, shown by its colour, with a word where `texts` has one.

    Shapes: values (rows, columns). signed: colours from blue through nothing to orange.
    """

    rows: Sequence[str]
    columns: Sequence[str]
    values: Array
    caption: str
    texts: Sequence[Sequence[str]] | None = None
    signed: bool = False
    by_column: bool = False
    """Whether each column has colours of its own: its figures have another unit."""

    def __post_init__(self) -> None:
        _check("Grid", self.values, (len(self.rows), len(self.columns)))

    def json(self) -> dict[str, Any]:
        found = {"caption": self.caption, "rows": list(self.rows), "columns": list(self.columns)}
        words = {} if self.texts is None else {"texts": [list(row) for row in self.texts]}
        return {**found, "values": _list(self.values), **words}


@dataclass(frozen=True)
class Maps:
    """One matrix of queries x keys for each name (as `layer 0, head 1`), looked at one at a time.

    Shapes: values (names, queries, keys), from 0 to 1.
    """

    names: Sequence[str]
    queries: Sequence[str]
    keys: Sequence[str]
    values: Array
    caption: str

    def __post_init__(self) -> None:
        _check("Maps", self.values, (len(self.names), len(self.queries), len(self.keys)))

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"caption": self.caption, "names": list(self.names)}
        found |= {"queries": list(self.queries), "keys": list(self.keys)}
        return {**found, "values": _list(np.round(self.values, 5))}


@dataclass(frozen=True)
class Picture:
    """An SVG. links: for the key of a box in a drawing of ours the section that it leads to; a
    picture with links is part of the page, any other is shown as an image."""

    svg: str
    caption: str
    links: dict[str, str] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        return {"caption": self.caption}


Part = Prose | Coloured | Grid | Maps | Picture | Table


@dataclass(frozen=True)
class Section:
    """key: its anchor. about: how to read it, and what it does not say."""

    key: str
    title: str
    about: str
    parts: tuple[Part, ...]

    def json(self) -> dict[str, Any]:
        parts = [{"kind": type(p).__name__, **p.json()} for p in self.parts]
        return {"title": self.title, "about": self.about, "parts": parts}


def _check(who: str, values: Array, shape: tuple[int, ...]) -> None:
    if np.shape(values) != shape:
        raise ShapeError(explain(who, f"values are {np.shape(values)}, the labels {shape}"))


def _list(values: Array) -> Any:
    """Nested lists; what is not finite becomes None, which JSON can say."""
    array = np.asarray(values, np.float64)
    if array.ndim > 1:
        return [_list(row) for row in array]
    return [float(v) if np.isfinite(v) else None for v in array]
