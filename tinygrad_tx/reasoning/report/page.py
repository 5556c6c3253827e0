"""The offline page of a report: sections with their parts, one script, one style, no network.

The policy of the page lets no script run but its own, whatever tokens and names say; colours stand
in the elements as numbers that the style turns into the colours of the reader's theme.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import singledispatch
from html import escape
from importlib import resources
from string import Template
from typing import Any

import numpy as np

from tinygrad_tx.reasoning.report.parts import Coloured, Grid, Maps, Picture, Prose, Section
from tinygrad_tx.reasoning.report.words import WORDS, visible
from tinygrad_tx.table import Table, shown
from tinygrad_tx.viz.inline import inline_svg

__all__ = ["page_of"]


def page_of(title: str, sections: Sequence[Section], language: str = "en") -> str:
    """The whole page as text."""
    words = WORDS[language]
    script = _file("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        f"script-src 'sha256-{digest}'"
    )
    contents = "".join(f'<li><a href="#{s.key}">{escape(s.title)}</a></li>' for s in sections)
    return Template(_file("report.html")).substitute(
        language={"en": "en", "zh": "zh-Hans"}[language],
        policy=policy,
        title=escape(title),
        style=_file("report.css"),
        skip=escape(words["skip"]),
        contents_word=escape(words["contents"]),
        contents=contents,
        body="".join(_section(s, words) for s in sections),
        script=script,
    )


def _section(section: Section, words: dict[str, str]) -> str:
    parts = "".join(shown_part(part, words) for part in section.parts)
    return (
        f'<section id="{section.key}"><h2>{escape(section.title)}</h2>'
        f'<p class="about">{escape(section.about)}</p>{parts}</section>\n'
    )


@singledispatch
def shown_part(part: Any, words: dict[str, str]) -> str:
    """The part as HTML."""
    raise TypeError(f"a report shows no {type(part).__name__}")


@shown_part.register
def _(part: Prose, words: dict[str, str]) -> str:
    return f"<p>{escape(part.text)}</p>"


@shown_part.register
def _(part: Coloured, words: dict[str, str]) -> str:
    heats = _signed(np.asarray(part.scores, np.float64))
    spans = "".join(
        f'<span tabindex="0" class="token{" marked" if i == part.marked else ""}"'
        f' style="--h:{heat:.3f}" data-said="{_attribute(token)}: {shown(float(score))}">'
        f"{escape(visible(token))}</span>"
        for i, (token, score, heat) in enumerate(zip(part.tokens, part.scores, heats, strict=True))
    )
    return _figure(f'<div class="tokens" lang="">{spans}</div>', part.caption)


@shown_part.register
def _(part: Grid, words: dict[str, str]) -> str:
    values = np.asarray(part.values, np.float64)
    heat = _signed if part.signed else _plain
    heats = np.stack([heat(c) for c in values.T], -1) if part.by_column else heat(values)
    head = "".join(f'<th scope="col">{escape(visible(c))}</th>' for c in part.columns)
    rows = []
    for i, name in enumerate(part.rows):
        cells = []
        for j, column in enumerate(part.columns):
            value = shown(float(part.values[i][j]))
            word = visible(part.texts[i][j]) if part.texts is not None else value
            said = f"{name}, {visible(column)}: {word} {value if word != value else ''}".strip()
            colour = f'style="--h:{heats[i, j]:.3f}"'
            cells.append(f'<td {colour} data-said="{_attribute(said)}">{escape(word)}</td>')
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>')
    table = (
        f'<div class="wide"><table class="grid" tabindex="0" '
        f'aria-label="{_attribute(part.caption)}">'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )
    return _figure(table, part.caption)


@shown_part.register
def _(part: Maps, words: dict[str, str]) -> str:
    data = json.dumps(
        {
            **part.json(),
            "queries": [visible(q) for q in part.queries],
            "keys": [visible(k) for k in part.keys],
        },
        ensure_ascii=False,
    )
    return _figure(
        f'<div class="maps" tabindex="0" data-map="{_attribute(words["map"])}" '
        f'data-from="{_attribute(words["from"])}" data-to="{_attribute(words["to"])}">'
        f'<script type="application/json">{_harmless(data)}</script></div>',
        part.caption,
    )


@shown_part.register
def _(part: Picture, words: dict[str, str]) -> str:
    if part.links:
        links = _harmless(json.dumps(part.links))
        svg = inline_svg(part.svg, {})
        return _figure(
            f'<div class="drawing">{svg}<script type="application/json">{links}</script></div>',
            part.caption,
        )
    data = base64.b64encode(part.svg.encode()).decode()
    image = f'<img alt="{_attribute(part.caption)}" src="data:image/svg+xml;base64,{data}">'
    return _figure(f'<div class="wide paper">{image}</div>', part.caption)


@shown_part.register
def _(part: Table, words: dict[str, str]) -> str:
    head = "".join(f'<th scope="col">{escape(c)}</th>' for c in part.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(visible(shown(cell)))}</td>" for cell in row) + "</tr>"
        for row in part.rows
    )
    notes = "".join(f"<p>{escape(note)}</p>" for note in part.notes)
    table = f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    return _figure(f"{table}</div>{notes}", part.title)


def _figure(body: str, caption: str) -> str:
    return f"<figure><figcaption>{escape(caption)}</figcaption>{body}</figure>"


def _signed(values: Any) -> Any:
    """From -1 to 1, by the largest magnitude; what is not finite has no colour."""
    finite = np.where(np.isfinite(values), values, 0.0)
    return finite / max(float(np.abs(finite).max(initial=0.0)), 1e-30)


def _plain(values: Any) -> Any:
    """From 0 to 1, from the least to the most."""
    finite = np.where(np.isfinite(values), values, np.nan)
    if not np.isfinite(finite).any():
        return np.zeros_like(finite)
    low, high = np.nanmin(finite), np.nanmax(finite)
    return np.nan_to_num((finite - low) / max(high - low, 1e-30))


def _attribute(text: str) -> str:
    return escape(visible(text), quote=True)


def _file(name: str) -> str:
    folder = resources.files("tinygrad_tx.reasoning.report")
    return folder.joinpath("web", name).read_text(encoding="utf-8")


def _harmless(text: str) -> str:
    """JSON in a page must not be able to end its element."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
