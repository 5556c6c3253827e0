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
NAME = re.compile(r"(?:^|(?<=[.;)\"]\s))([a-z_]\w*(?:, [a-z_]\w*)*(?: and [a-z_]\w*)?): ", re.M)


def prose(text: str, names: set[str]) -> str:
    """A paragraph with its labels set; where several arguments are spoken of, each is an item."""

    def words_of(match: re.Match[str]) -> list[str]:
        return re.split(r", | and ", match[1])

    def named(match: re.Match[str]) -> str:
        words = words_of(match)
        if not set(words) <= names:
            return match[0]
        return f"{start}{', '.join(f'`{word}`' for word in words)}: "

    found = [m for m in NAME.finditer(text) if set(words_of(m)) <= names]
    start = "\n- " if len(found) > 1 else ""
    text = NAME.sub(named, text).replace("\n- ", "\n\n- ", 1)
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
    """A docstring as Markdown. Paragraphs that are indented or begin as code does are code."""
    paragraphs = []
    for paragraph in re.split(r"\n{2,}", text.strip()):
        if paragraph.startswith(("@", ">>> ")):
            paragraph = re.sub(r"^", "    ", paragraph, flags=re.M)
        is_code = paragraph.startswith("    ")
        paragraphs.append(paragraph if is_code else prose(paragraph, names))
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
