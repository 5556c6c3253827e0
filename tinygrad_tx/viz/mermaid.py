"""Mermaid text of a picture, for pages that draw it themselves."""

from __future__ import annotations

from collections import defaultdict

from tinygrad_tx.viz.picture import Box, Picture, readable
from tinygrad_tx.viz.theme import THEMES
from tinygrad_tx.viz.words import phrase, translated

__all__ = ["mermaid_of"]

_FORMS = {
    "sign": ("((", "))"),
    "data": ("([", "])"),
    "parameter": ("[", "]"),
    "corpus": ("[(", ")]"),
    "text": ("[/", "/]"),
}
_OUTLINES = {"moved": "2 3", "gone": "6 4"}
_ARROWS = {"flow": "-->", "tied": "-.->", "weight": "---", "back": "-->", "saved": "-.->"}


def mermaid_of(picture: Picture, theme: str = "light", language: str = "en") -> str:
    """A flowchart in the picture's direction; frames are subgraphs, roles are classes."""
    number = {key: f"n{i}" for i, key in enumerate(picture.boxes)}
    inside: dict[tuple[str, ...], list[Box]] = defaultdict(list)
    for box in picture.boxes.values():
        inside[box.frame].append(box)
    lines = [f"flowchart {picture.direction}"]
    opened: tuple[str, ...] = ()
    numbers: dict[tuple[str, ...], int] = {}  # a frame's own words may be all signs
    for frame in sorted(inside):
        shared = 0
        while shared < min(len(opened), len(frame)) and opened[shared] == frame[shared]:
            shared += 1
        lines += ["  " * level + "end" for level in range(len(opened), shared, -1)]
        for level in range(shared, len(frame)):
            path = frame[: level + 1]
            title = _quoted(translated(picture.frames.get(path, path[-1]), language))
            name = f"f{numbers.setdefault(path, len(numbers))}"
            lines.append("  " * (level + 1) + f"subgraph {name}[{title}]")
        opened = frame
        for box in inside[frame]:
            before, after = _FORMS.get(box.role, ("(", ")"))
            said = box.maps.words if box.maps is not None else ()
            lines_in = (box.title, *box.lines, *said)
            words = "<br/>".join(_escaped(phrase(w, language)) for w in lines_in)
            text = f'{number[box.key]}{before}"{words}"{after}'
            lines.append("  " * (len(frame) + 1) + f"{text}:::{box.change or box.role}")
    lines += ["  " * level + "end" for level in range(len(opened), 0, -1)]
    for arrow in picture.arrows:
        label = f"|{_quoted(translated(arrow.label, language))}|" if arrow.label else ""
        source, target = number[arrow.source], number[arrow.target]
        lines.append(f"  {source} {_ARROWS[arrow.link]}{label} {target}")
    look = THEMES[theme]
    roles = (box.role for box in picture.boxes.values() if not box.change)
    for role in dict.fromkeys(roles):
        fill = look.fills.get(role, look.paper)
        lines.append(f"  classDef {role} fill:{fill},stroke:{look.line},color:{look.ink}")
    for change in dict.fromkeys(b.change for b in picture.boxes.values() if b.change):
        fill = f"fill:{look.changes[change]},stroke:{look.line},color:{look.ink}"
        width = "3px" if change in ("new", "group") else "1px"
        dashes = f",stroke-dasharray:{_OUTLINES[change]}" if change in _OUTLINES else ""
        lines.append(f"  classDef {change} {fill},stroke-width:{width}{dashes}")
    return readable("\n".join(lines) + "\n")


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    """Signs that Mermaid or HTML would read as their own, as Mermaid's numbered entities."""
    return "".join(c if c not in "\"'<>&#;`|\\\n\r{}[]()" else f"#{ord(c)};" for c in text)
