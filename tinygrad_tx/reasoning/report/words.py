"""What a report says of itself, in English and Chinese."""

from __future__ import annotations

from tinygrad_tx.viz.picture import readable

__all__ = ["WORDS", "visible"]

# name: (English, Chinese)
_BOTH = {
    "skip": ("Go to the report", "跳到正文"),
    "contents": ("Contents", "目录"),
    "map": ("Map", "图"),
    "from": ("looks from", "从"),
    "to": ("to", "看向"),
}

WORDS: dict[str, dict[str, str]] = {
    language: {name: pair[i] for name, pair in _BOTH.items()}
    for i, language in enumerate(("en", "zh"))
}

_SIGNS = {"\n": "⏎", "\t": "⇥", "\r": "␍", "": "∅"}


def visible(token: str) -> str:
    """A token as a reader can see it: signs for line ends and tabs, a box for a leading space."""
    if token in _SIGNS:
        return _SIGNS[token]
    text = "".join(_SIGNS.get(c, c) for c in token)
    return readable(text.replace(" ", "␣") if not text.strip(" ") else text)
