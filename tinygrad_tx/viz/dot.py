"""DOT text of a picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from graphviz import Digraph, escape, nohtml

from tinygrad_tx.viz.picture import Arrow, Box, Picture, readable
from tinygrad_tx.viz.tables import table_of
from tinygrad_tx.viz.theme import THEMES, Theme
from tinygrad_tx.viz.words import phrase, translated

__all__ = ["dot_of", "id_of"]

_PLAIN = ("input", "output")
_SHAPES = {"data": "ellipse", "corpus": "cylinder", "text": "note"}
_CHANGES = {
    "kept": {},
    "moved": {"style": "rounded,filled,dotted", "penwidth": "1.6"},
    "gone": {"style": "rounded,filled,dashed", "penwidth": "1.6"},
    "new": {"penwidth": "2.8"},
    "group": {"penwidth": "2.8"},
}
"""The outline tells changes apart as well as the colour does."""

ROOM = 16
"""At least so many spaces stand beside the title of a frame; longer titles take two lines."""
SPACE = "\N{NO-BREAK SPACE}"


def dot_of(picture: Picture, theme: str = "light", language: str = "en") -> str:
    """Boxes, frames around open modules, and arrows; rounded for what computes."""
    look = THEMES[theme]
    dot = _start(picture, look, language)
    inside: dict[tuple[str, ...], list[Box]] = defaultdict(list)
    for box in picture.boxes.values():
        inside[box.frame].append(box)
    _write_frame(dot, (), inside, picture, look, language)
    for arrow in picture.arrows:
        _write_arrow(dot, arrow, look, language)
    return readable(str(dot.source))


def _start(picture: Picture, look: Theme, language: str) -> Digraph:
    dot = Digraph(name="graph")
    font = "Helvetica" if language == "en" else "Noto Sans CJK SC, WenQuanYi Zen Hei, sans-serif"
    dot.attr(
        "graph",
        rankdir=picture.direction,
        fontname=font,
        fontsize="12",
        nodesep="0.35",
        ranksep="0.35",
    )
    dot.attr("graph", compound="true", bgcolor=look.paper, fontcolor=look.ink)
    dot.attr("node", fontname=font, fontsize="12", color=look.line, fontcolor=look.ink)
    dot.attr("edge", fontname=font, fontsize="9", color=look.line, fontcolor=look.ink)
    dot.attr("edge", arrowsize="0.7")
    note = phrase(picture.note, language)
    title = "\n".join(t for t in (translated(picture.title, language), note) if t)
    if title:
        dot.attr("graph", label=_plain(title), labelloc="t", fontsize="16")
    return dot


def _write_frame(
    dot: Digraph,
    frame: tuple[str, ...],
    inside: dict[tuple[str, ...], list[Box]],
    picture: Picture,
    look: Theme,
    language: str,
) -> None:
    """The boxes of a frame and the frames within it. Frames nest as modules do: a few levels.

    A title keeps clear of arrows as well as Graphviz lets it, which minds boxes alone: above on the
    left, with room beside it. Where two sides are compared all that goes into a frame stands in it,
    so that below on the right is clearer.
    """
    is_side = bool(picture.sides) and bool(frame)
    just, place = ("r", "t") if is_side else ("l", "b")
    for box in inside.get(frame, ()):
        _write_box(dot, box, look, language)
    for child in _frames_within(frame, inside):
        with dot.subgraph(name=f"cluster_{id_of('.'.join(child))}") as part:
            title = _titled(picture.frames.get(child, child[-1]), language)
            label = _with_room(title, is_side)
            part.attr(label=label, style="rounded,filled", fillcolor=look.frame, color=look.line)
            part.attr(labeljust=just, labelloc=place, fontsize="13", margin="14")
            _write_frame(part, child, inside, picture, look, language)


def _with_room(title: str, on_the_right: bool) -> str:
    """A title, in two lines if it is long, with as much room beside it as it takes, or ROOM."""
    words = title.split(" ")
    ways = [[" ".join(words[:i]), " ".join(words[i:])] for i in range(1, len(words))]
    is_long = len(title) > ROOM
    lines = min(ways, key=lambda way: max(map(len, way))) if ways and is_long else [title]
    wide = max(map(len, lines))
    wide += max(wide, ROOM)
    if on_the_right:
        return "".join(line.rjust(wide, SPACE) + "\\r" for line in lines)
    return "".join(line.ljust(wide, SPACE) + "\\l" for line in lines)


def _frames_within(
    frame: tuple[str, ...], inside: Iterable[tuple[str, ...]]
) -> list[tuple[str, ...]]:
    """The frames one level below `frame`."""
    level = len(frame)
    return list(
        dict.fromkeys(f[: level + 1] for f in inside if len(f) > level and f[:level] == frame)
    )


def _titled(text: str, language: str) -> str:
    """A title with its signs harmless."""
    shown: str = nohtml(escape(_worded(text, language)))
    return shown


def _worded(text: str, language: str) -> str:
    """A title with `× n` behind it, its words translated."""
    title, times, count = text.partition("  × ")
    return phrase(title, language) + times + count


def _write_box(dot: Digraph, box: Box, look: Theme, language: str) -> None:
    lines = [_titled(box.title, language), *(escape(phrase(n, language)) for n in box.lines)]
    label = nohtml("\\n".join(lines))
    if box.maps is not None:
        words = [_worded(box.title, language), *(phrase(n, language) for n in box.lines)]
        label = table_of(words, box.maps, look, language)
    style: dict[str, Any] = {"shape": "box", "style": "rounded,filled"}
    fill = look.fills.get(box.role, look.paper)
    if box.role == "sign":
        style = {"shape": "circle", "style": "filled", "margin": "0.02"}
        style |= {"shape": "ellipse"} if len(lines) > 1 else {"width": "0.3", "fixedsize": "true"}
    elif box.role in _PLAIN:
        style = {"shape": "plaintext"}
    elif box.role == "parameter":
        style = {"shape": "box", "style": "filled", "fontsize": "9"}
    elif box.role in _SHAPES:
        style = {"shape": _SHAPES[box.role], "style": "filled"}
        if box.role == "corpus":  # text keeps clear of the lid
            style |= {"labelloc": "b", "margin": "0.16,0.2"}
    if box.change:
        fill = look.changes[box.change]
        style |= _CHANGES[box.change]
    if box.heat is not None:
        fill = look.warm(box.heat)
    if box.marked:
        fill, style["color"], style["penwidth"] = look.mark, "#b00020", "3"
    elif box.is_result and not box.change:
        style["penwidth"] = "2"
    if box.role not in _PLAIN or box.heat is not None:
        style["fillcolor"] = fill
    facts = "\n".join(f"{name}: {value}" for name, value in box.facts)
    dot.node(id_of(box.key), label, tooltip=_plain(facts or box.title), **style)


def _plain(text: str) -> str:
    """Text without any meaning of its own for Graphviz, but for ends of lines."""
    shown: str = nohtml("\\n".join(escape(line) for line in text.split("\n")))
    return shown


def _write_arrow(dot: Digraph, arrow: Arrow, look: Theme, language: str) -> None:
    style: dict[str, str] = {}
    label = phrase(arrow.label, language)
    if label:
        style["label"] = f" {escape(label)}"
    source, target = id_of(arrow.source), id_of(arrow.target)
    if arrow.link == "tied":
        style |= {"style": "dashed", "constraint": "false"}
    elif arrow.link == "weight":
        style["arrowhead"] = "none"
    elif arrow.link == "saved":
        style |= {"style": "dotted", "constraint": "false", "arrowhead": "open"}
    elif arrow.link == "back":
        # Written from the end, so that a gradient stands as high as its value.
        source, target = target, source
        style |= {"dir": "back"}
    if arrow.effect is not None:
        size = min(abs(arrow.effect), 1.0)
        colour = look.helps if arrow.effect >= 0 else look.hurts
        style |= {"penwidth": f"{0.6 + 5.4 * size:.2f}", "color": colour}
    dot.edge(source, target, **style)


_SIGNS = {" ": "_", ".": "__", "_": "_u_"}


def id_of(key: str) -> str:
    """A name in DOT for a key; other keys have other names."""
    plain = (c if c.isascii() and c.isalnum() else _SIGNS.get(c, f"_x{ord(c):x}_") for c in key)
    return "".join(plain)
