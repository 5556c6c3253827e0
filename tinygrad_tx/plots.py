"""Plots of Matplotlib: how they look, and as bytes."""

from __future__ import annotations

import contextlib
import io

import matplotlib
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter

from tinygrad_tx.notebook import fitted

__all__ = ["Chart", "picture_bytes", "style"]

# Matplotlib takes a character from the first family that has it; what is not installed is left out.
FAMILIES = (
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Microsoft YaHei",
)


class Chart(Figure):
    """A figure that shows itself at the end of a cell, without %matplotlib."""

    def _repr_svg_(self) -> str:
        return fitted(picture_bytes(self).decode())


def style(even: bool = False) -> contextlib.AbstractContextManager[None]:
    """Inside, words may be Chinese where there is a font for it, and none is read as a formula.

    even: characters of one width.
    """
    return matplotlib.rc_context({"font.family": _families(even), "text.parse_math": False})


def picture_bytes(figure: Figure, format: str = "svg") -> bytes:
    """As "svg", whose words stay words, "png" or "pdf"; the same bytes for the same figure.

    Dollar signs in names are dollar signs, not formulas.
    """
    powers = {  # 10^-3 and the like, as Matplotlib itself writes them
        id(label)
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        if not isinstance(axis.get_major_formatter(), FixedFormatter)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        for label in (tick.label1, tick.label2)
    }
    for text in figure.findobj(Text):
        if isinstance(text, Text) and id(text) not in powers:
            text.set_parse_math(False)
    out = io.BytesIO()
    # A date would make two pictures of the same figures differ.
    metadata = {"Date": None} if format == "svg" else None
    families = _families()
    with matplotlib.rc_context(
        {"svg.hashsalt": "tinygrad_tx", "svg.fonttype": "none", "font.family": families}
    ):
        figure.savefig(out, format=format, dpi=150, metadata=metadata)
    return out.getvalue()


def _families(even: bool = False) -> list[str]:
    known = {f.name for f in fontManager.ttflist}
    wanted = ("DejaVu Sans Mono", *FAMILIES) if even else FAMILIES
    return [name for name in wanted if name in known] or ["sans-serif"]
