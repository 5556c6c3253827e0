"""Markdown as GitHub reads it, written so that Python's Markdown reads the same: see hooks.py."""

from __future__ import annotations

import re

ITEM = re.compile(r"(- |\d+\. )")


def rewritten(text: str) -> str:
    """What stands inside of a list item is indented by four; a heading ends a table."""
    lines: list[str] = []
    width, is_fenced = 0, False
    for line in text.split("\n"):
        is_fenced ^= line.startswith("```")
        found = None if is_fenced else ITEM.match(line)
        if found:
            width = len(found[0])
        elif width and line.strip():
            width = width if line.startswith(" " * width) else 0
            line = "    " + line[width:] if width else line
        if line.startswith("#") and not is_fenced and lines and lines[-1].startswith("|"):
            lines.append("")
        lines.append(line)
    return "\n".join(lines)
