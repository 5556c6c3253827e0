"""An offline page around a drawing: zoom, search, more and less detail, facts of each box.

It asks no network for anything, and its policy lets no script run but its own, whatever the names
of modules and operations say.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from html import escape
from importlib import resources

from tinygrad_tx.viz.dot import id_of
from tinygrad_tx.viz.picture import Picture

__all__ = ["page_of"]

_WORDS = {
    "en": ("Search", "Zoom in", "Zoom out", "Whole picture", "More detail", "Less detail"),
    "zh": ("搜索", "放大", "缩小", "全图", "更详细", "更简略"),
}


def page_of(
    sheets: Sequence[tuple[Picture, str]], shown: int, theme: str = "light", language: str = "en"
) -> str:
    """`sheets`: pictures with their SVG, from the least to the most detail; `shown` comes first."""
    script = _file("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    search, enlarge, shrink, whole, more, less = _WORDS[language]
    title = escape(sheets[shown][0].title or "graph")
    facts = {
        id_of(key): {"title": box.title, "facts": [list(fact) for fact in box.facts]}
        for picture, _ in sheets
        for key, box in picture.boxes.items()
    }
    buttons = "".join(
        f'<button id="{name}" title="{word}" aria-label="{word}">{sign}</button>'
        for name, word, sign in (
            ("less", less, "⊟"),
            ("more", more, "⊞"),
            ("out", shrink, "−"),
            ("in", enlarge, "+"),
            ("whole", whole, "⤢"),
        )
    )
    drawings = "".join(
        f'<div class="sheet" role="img" aria-label="{title}" hidden>{_inner(svg)}</div>'
        for _, svg in sheets
    )
    return (
        f'<!DOCTYPE html>\n<html lang="{language}" data-theme="{theme}">\n<head>\n'
        f'<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{_file('page.css')}</style>\n</head>\n"
        f'<body data-level="{shown}">\n<header><h1>{title}</h1>'
        f'<input id="search" type="search" placeholder="{search} (/)" aria-label="{search}">'
        f'<span id="found" aria-live="polite"></span>{buttons}</header>\n'
        f'<main>{drawings}<dl id="facts" aria-live="polite" hidden></dl></main>\n'
        f'<script type="application/json" id="data">{_harmless(json.dumps(facts))}</script>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _file(name: str) -> str:
    return resources.files("tinygrad_tx.viz").joinpath(name).read_text(encoding="utf-8")


def _inner(svg: str) -> str:
    """The element itself, without what only a file of its own has; no script, no links."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<script.*?</script>", "", body, flags=re.S | re.I)
    return re.sub(r'\s(xlink:)?href="[^"]*"', "", body)


def _harmless(text: str) -> str:
    """JSON in a page must not be able to end its element."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
