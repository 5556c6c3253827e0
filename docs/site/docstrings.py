"""Docstrings as the reference shows them: a griffe extension.

Ours are prose with labels that begin a sentence: `Shapes: ...`, `Errors: ...`, or the name of an
argument. Here a label of a section begins a paragraph and is bold, and a name is set as code.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

SECTIONS = "Shapes|Errors|Source|Cost|Limits|Maths|Example"
SECTION = re.compile(rf"(?:^|(?<=[.;:)?!]\s))\s*({SECTIONS}): ", re.M)
BLOCK = re.compile(r"(?:^|\n)(?P<code>(?:    .*(?:\n|$)|\n)+)")
NAME = re.compile(r"(?:^|(?<=[.;)\"]\s)|(?<=\n))([a-z_]\w*(?:, [a-z_]\w*)*(?: and [a-z_]\w*)?): ")


def prose(text: str, names: set[str]) -> str:
    """A paragraph with its labels set."""

    def named(match: re.Match[str]) -> str:
        words = re.split(r", | and ", match[1])
        if not set(words) <= names:
            return match[0]
        return re.sub(r"[a-z_]\w*", lambda m: m[0] if m[0] == "and" else f"`{m[0]}`", match[0])

    text = NAME.sub(named, text)
    text = SECTION.sub(r"\n\n**\1.** ", text)
    return safe(text).strip("\n")


def safe(text: str) -> str:
    """Without what Markdown and HTML would take for marks, outside of code."""
    parts = re.split(r"(`[^`]*`)", text)
    for at in range(0, len(parts), 2):
        parts[at] = re.sub(r"<(?=\S)", "&lt;", parts[at])
        parts[at] = re.sub(r"(?<!\*)\*(?!\*)", r"\\*", parts[at])
        parts[at] = re.sub(r"(?<!\\)\[", r"\\[", parts[at])
        parts[at] = re.sub(r"(?<=\W)(_\w*)", r"\\\1", parts[at])
    return "".join(parts)


def set_out(text: str, names: set[str]) -> str:
    """A docstring as Markdown. Paragraphs that are indented or show a decorator are code."""
    paragraphs = []
    for paragraph in re.split(r"\n{2,}", text.strip()):
        lines = paragraph.splitlines()
        if lines[0].startswith(("    ", "@", ">>> ")):
            lines = [line if line.startswith("    ") else f"    {line}" for line in lines]
            if lines[0].startswith("    @"):
                lines = [f"    {line}" for line in paragraph.splitlines()]
            paragraphs.append("\n".join(lines))
        else:
            paragraphs.append(prose(paragraph, names))
    return "\n\n".join(paragraphs)


def names_of(found: griffe.Object) -> set[str]:
    """Arguments and fields that a docstring may speak of."""
    names = set(found.members) if found.is_class else set()
    functions = [found] if found.is_function else []
    if found.is_class and "__init__" in found.members:
        functions.append(found.members["__init__"])
    for function in functions:
        names |= {p.name.lstrip("*") for p in getattr(function, "parameters", ())}
    return names


class Labels(griffe.Extension):
    """Sets the labels of every docstring."""

    def on_object(self, *, obj: griffe.Object, loader: Any, **kwargs: Any) -> None:
        if obj.docstring and not obj.is_alias:
            obj.docstring.value = set_out(obj.docstring.value, names_of(obj))
