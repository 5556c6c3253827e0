"""An offline page around the sheets of a drawing: zoom, search, opening and folding, facts, legend.

It asks no network for anything, and its policy lets no script run but its own, whatever the names
of modules and operations say.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from html import escape
from importlib import resources
from string import Template
from typing import Any

from tinygrad_tx.viz.dot import dot_of, id_of
from tinygrad_tx.viz.inline import colours_of, inline_svg, variables
from tinygrad_tx.viz.page_words import WORDS, fact_name
from tinygrad_tx.viz.picture import Box, Picture, frames_in, readable
from tinygrad_tx.viz.theme import THEMES
from tinygrad_tx.viz.words import phrase, translated

__all__ = ["page_of"]

_SCRIPTS = ("view.js", "sheets.js", "facts.js", "search.js", "start.js")
_LINES = {"tied": "5 3", "saved": "1 3"}


def page_of(
    sheets: Sequence[tuple[Picture, str]],
    name_of: Callable[[str], str] = str,
    theme: str | None = None,
    language: str = "en",
) -> str:
    """`sheets`: pictures with their SVG; the first is shown. name_of: see `sheets.Opening`.

    theme: in which the SVGs are; None is light, and the page then follows the reader's system.
    """
    pictures, words = [picture for picture, _ in sheets], WORDS[language]
    colours = colours_of(pictures, theme or "light")
    names = variables(colours)
    script = "".join(_file(name) for name in _SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    drawings = [inline_svg(svg, names) for _, svg in sheets]
    first, *others = drawings
    page = Template(_file("page.html")).substitute(
        {f"word_{name}": escape(word) for name, word in words.items()},
        language={"en": "en", "zh": "zh-Hans"}[language],
        theme=theme or "auto",
        policy=policy,
        title=escape(translated(pictures[0].title or "graph", language)),
        style=_style(colours) + _file("page.css"),
        first=first,
        others="".join(f"<template>{svg}</template>\n" for svg in others),
        legend=_legend(pictures, names, theme or "light", words),
        data=_harmless(json.dumps(_data(pictures, name_of, theme or "light", language))),
        script=script,
    )
    return readable(page)


def _file(name: str) -> str:
    return resources.files("tinygrad_tx.viz").joinpath("web", name).read_text(encoding="utf-8")


def _data(
    pictures: Sequence[Picture], name_of: Callable[[str], str], theme: str, language: str
) -> dict[str, Any]:
    """What the script knows. Facts that sheets share stand once."""
    facts: dict[str, int] = {}
    words = {**WORDS[language], "module": fact_name("module", language)}

    def number(box: Box) -> int:
        rows = [[fact_name(name, language), value] for name, value in box.facts]
        title = _titled(box.title, language)
        # A line that repeats a fact, as the last word of a module's path, is not said again.
        said = " ".join(value for _, value in box.facts)
        lines = [phrase(n, language) for n in box.lines if n.replace(" ", "_") not in said]
        return facts.setdefault(json.dumps([title, lines, rows]), len(facts))

    sheets = [
        {
            "boxes": {
                id_of(b.key): [number(b), b.opens, name_of(".".join(b.frame))]
                for b in picture.boxes.values()
            },
            "frames": {
                f"cluster_{id_of('.'.join(frame))}": [
                    _titled(picture.frames.get(frame, frame[-1]), language),
                    name_of(".".join(frame)),
                ]
                for frame in sorted(frames_in(picture))
            },
            "arrows": [
                [id_of(a.source), id_of(a.target), a.shape or a.label, a.link == "back"]
                for a in picture.arrows
            ],
            "uses": sorted(_used(picture)),
            "dot": dot_of(picture, theme, language),
        }
        for picture in pictures
    ]
    return {"facts": [json.loads(f) for f in facts], "sheets": sheets, "words": words}


def _titled(text: str, language: str) -> str:
    title, times, count = text.partition("  × ")
    return translated(title, language) + (f" × {count}" if times else "")


def _used(picture: Picture) -> set[str]:
    """The rows of the legend that a picture needs."""
    boxes = picture.boxes.values()
    found: set[str] = {b.change or b.role for b in boxes if b.heat is None and not b.marked}
    found |= {a.link for a in picture.arrows}
    found |= {"heat"} if any(b.heat is not None for b in boxes) else set()
    found |= {"marked"} if any(b.marked for b in boxes) else set()
    return found | ({"opens"} if any(b.opens for b in boxes) else set())


def _legend(
    pictures: Sequence[Picture], names: Mapping[str, str], theme: str, words: Mapping[str, str]
) -> str:
    """A row for each colour and line style that some sheet has."""
    look, used = THEMES[theme], set[str]().union(*(_used(p) for p in pictures))
    signs = {
        role: f'<i class="fill {role}" style="background:var({names[fill]})"></i>'
        for role, fill in {**look.fills, **look.changes}.items()
    }
    signs["heat"] = '<i class="fill heat"></i>'
    signs["marked"] = '<i class="fill marked"></i>'
    signs["opens"] = '<i class="plus">+</i>'
    for link in ("flow", "tied", "weight", "back", "saved"):
        dashes, end = _LINES.get(link, "none"), "" if link == "weight" else "M27,3 32,6 27,9"
        signs[link] = (
            '<svg width="34" height="12" aria-hidden="true">'
            f'<path d="M1,6H31" stroke-dasharray="{dashes}"/><path d="{end}"/></svg>'
        )
    rows = (
        f'<li data-use="{n}">{s} {escape(words[n])}</li>' for n, s in signs.items() if n in used
    )
    return "".join(rows)


def _style(colours: Mapping[str, tuple[str, str]]) -> str:
    """The colours of both themes as variables."""
    names = variables(colours)
    themes = []
    for i, theme in enumerate(("light", "dark")):
        look = THEMES[theme]
        own = {"--paper": look.paper, "--ink": look.ink, "--line": look.line, "--side": look.frame}
        own |= {"--cold": look.cold, "--hot": look.hot, "--marked": look.mark}
        own |= {names[colour]: pair[i] for colour, pair in colours.items()}
        rows = "".join(f"{name}:{value};" for name, value in own.items())
        themes.append(f"color-scheme:{theme};{rows}")
    light, dark = themes
    return (
        f":root{{{light}}}\n:root[data-theme=dark]{{{dark}}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root[data-theme=auto]{{{dark}}}}}\n"
        f"@media print{{:root[data-theme]{{{light}}}}}\n"
    )


def _harmless(text: str) -> str:
    """JSON in a page must not be able to end its element."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
