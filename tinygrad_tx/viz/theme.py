"""How a picture looks: colours by what a box does, light and dark.

Fills differ in lightness as well as hue, so that they are told apart in grey and by people who see
few colours; text always stands in the theme's ink.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["THEMES", "Theme"]


@dataclass(frozen=True)
class Theme:
    """fills: by role. changes: by what a rewrite did. cold and hot: the ends of the scale for
    measured boxes. helps and hurts: arrows with an effect."""

    paper: str
    ink: str
    line: str
    frame: str
    fills: Mapping[str, str]
    changes: Mapping[str, str]
    cold: str
    hot: str
    mark: str
    helps: str
    hurts: str

    def warm(self, heat: float) -> str:
        """The colour `heat` of the way from cold to hot."""
        ends = [[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in (self.cold, self.hot)]
        mixed = (round(a + (b - a) * heat) for a, b in zip(*ends, strict=True))
        return "#" + "".join(f"{c:02x}" for c in mixed)


# After the figures of Vaswani et al. 2017.
THEMES = {
    "light": Theme(
        paper="#ffffff",
        ink="#1d1d1f",
        line="#6a6a6a",
        frame="#f7f7f7",
        fills={
            "attention": "#ffd9a8",
            "norm": "#f4f6c8",
            "embedding": "#f9dfe3",
            "product": "#bfe3f5",
            "other": "#e9e9e9",
            "sign": "#ffffff",
            "parameter": "#ffffff",
            "data": "#eef3fa",
            "corpus": "#dbe7f5",
            "process": "#d8ecd0",
            "model": "#e3dbf5",
            "text": "#fdfdf6",
        },
        # Orange and blue stay apart for people who see no red or no green.
        changes={
            "kept": "#efefef",
            "moved": "#fdf0b2",
            "gone": "#f4c3a0",
            "new": "#8fc6ea",
            "group": "#fdf0b2",
        },
        cold="#fdf3e3",
        hot="#e07b39",
        mark="#ffb3b3",
        helps="#1f5f99",
        hurts="#d0661f",
    ),
    "dark": Theme(
        paper="#16181c",
        ink="#f2f2f2",
        line="#9aa0a6",
        frame="#1f2227",
        fills={
            "attention": "#8a5312",
            "norm": "#5d6120",
            "embedding": "#7a3d48",
            "product": "#1d5876",
            "other": "#3a3d42",
            "sign": "#16181c",
            "parameter": "#16181c",
            "data": "#27303d",
            "corpus": "#24405f",
            "process": "#2f5026",
            "model": "#4c3b73",
            "text": "#26272b",
        },
        changes={
            "kept": "#303338",
            "moved": "#655a1c",
            "gone": "#7c3c17",
            "new": "#1f6797",
            "group": "#655a1c",
        },
        cold="#2a2d33",
        hot="#b4531b",
        mark="#8c1d1d",
        helps="#6fb1e8",
        hurts="#f09a55",
    ),
}
