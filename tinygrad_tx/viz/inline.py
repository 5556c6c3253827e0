"""The SVG of a renderer made part of a page: short, without ids and links, its colours by name.

One drawing serves the light and the dark theme: a colour is a variable of the page's style.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tinygrad_tx.viz.dot import dot_of
from tinygrad_tx.viz.picture import Picture
from tinygrad_tx.viz.theme import THEMES

__all__ = ["colours_of", "inline_svg", "variables"]

_COLOUR = re.compile(r'color="(#[0-9a-fA-F]{6})"')


def colours_of(pictures: Iterable[Picture], theme: str) -> dict[str, tuple[str, str]]:
    """Each colour of the drawings in `theme`: its value in the light and in the dark theme.

    Drawings in two themes differ in their colours alone.
    """
    found: dict[str, tuple[str, str]] = {}
    for picture in pictures:
        both = [_COLOUR.findall(dot_of(picture, name)) for name in ("light", "dark")]
        for pair in zip(*both, strict=True):
            found.setdefault(pair[theme == "dark"], pair)
    light, dark = ({**THEMES[n].fills, **THEMES[n].changes} for n in ("light", "dark"))
    for name in light:
        pair = light[name], dark[name]
        found.setdefault(pair[theme == "dark"], pair)
    return found


def variables(colours: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """The name of the variable for each colour."""
    return {colour: f"--c{number}" for number, colour in enumerate(colours)}


def inline_svg(svg: str, names: Mapping[str, str]) -> str:
    """The element itself. Nodes, edges and clusters carry their name as `data-key`.

    names: of the variable for each colour.
    """
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<script.*?</script>", "", body, flags=re.S | re.I)
    body = re.sub(r"<!--.*?-->\n?", "", body, flags=re.S)
    body = re.sub(r'<g id="[^"]*" class="(\w+)"([^>]*)>\s*<title>(.*?)</title>', _keyed, body)
    opened = len(re.findall(_LINK, body))
    if opened == len(re.findall(_LINK_END, body)):
        body = re.sub(_LINK_END, "", re.sub(_LINK, "", body))
    body = re.sub(r'\s(?:xlink:href|href|xlink:title|xml:space|xmlns:xlink)="[^"]*"', "", body)
    family = re.search(r'font-family="[^"]*"', body)
    if family:
        body = re.sub(r'\sfont-family="[^"]*"', "", body)
        body = body.replace("<svg", f"<svg {family[0]}", 1)
    return re.sub(
        r'\b(fill|stroke)="(#[0-9a-fA-F]{6})"',
        lambda m: f'{m[1]}="var({names[m[2]]})"' if m[2] in names else m[0],
        body,
    )


# Graphviz wraps what has a tooltip into a link without a target.
_LINK = r'<g id="a_[^"]*"><a(?: [^>]*)?>\n?'
_LINK_END = r"</a>\n?</g>\n?"


def _keyed(match: re.Match[str]) -> str:
    return f'<g class="{match[1]}"{match[2]} data-key="{match[3]}">'
