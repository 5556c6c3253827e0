"""Drawing: DOT text, and the pictures that Graphviz makes of it.

`dot` where it is installed, else `graphviz-pure`, which comes with this package. The .dot is
written first and kept whatever happens to the renderer.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from tinygrad_tx.errors import DrawError, explain
from tinygrad_tx.files import write_whole
from tinygrad_tx.notebook import fitted
from tinygrad_tx.viz.dot import dot_of
from tinygrad_tx.viz.mermaid import mermaid_of
from tinygrad_tx.viz.page import page_of
from tinygrad_tx.viz.picture import Picture
from tinygrad_tx.viz.sheets import Opening, of_whole, sheets_of
from tinygrad_tx.viz.shorten import shortened

__all__ = ["SUFFIXES", "TIMEOUT_SECONDS", "Drawing", "Plot", "renderer"]

SUFFIXES = (".svg", ".png", ".pdf", ".dot", ".mmd", ".html")
TIMEOUT_SECONDS = 20.0
RENDERERS = ("dot", "graphviz-pure")
PLOT_SUFFIXES = (".svg", ".png", ".pdf")
SMALLER = (150, 40)
"""Boxes of the simpler drawings that are tried when a layout takes too long."""


class Drawing:
    """A picture in any format. In a notebook it shows itself.

    theme: light if not given, and then a page follows the reader's system. opening: how a page
    opens and closes what is in it; if not given, by the frames of the picture.
    """

    def __init__(
        self,
        picture: Picture,
        theme: str | None = None,
        language: str = "en",
        opening: Opening | None = None,
    ) -> None:
        self.picture, self.theme, self.language = picture, theme or "light", language
        self._chosen, self._opening, self._svg = theme, opening or of_whole(picture), ""

    def __repr__(self) -> str:
        name = f"{self.picture.title}, " if self.picture.title else ""
        return f"Drawing ({name}{len(self.picture.boxes)} boxes)"

    @property
    def dot(self) -> str:
        return dot_of(self.picture, self.theme, self.language)

    @property
    def mermaid(self) -> str:
        """The picture as Mermaid text."""
        return mermaid_of(self.picture, self.theme, self.language)

    @property
    def svg(self) -> str:
        """The picture as SVG. Errors: DrawError."""
        if not self._svg:
            self._svg = self._rendered(self.picture, "svg")[1].decode()
        return self._svg

    @property
    def html(self) -> str:
        """An offline page around the picture. Errors: DrawError."""
        drawn = [self._rendered(p, "svg") for p in sheets_of(self.picture, self._opening)]
        sheets = [(picture, svg.decode()) for picture, svg in drawn]
        return page_of(sheets, self._opening.name_of, self._chosen, self.language)

    def _repr_svg_(self) -> str:
        return fitted(self.svg)

    def save(self, path: str | Path) -> None:
        """Writes the picture in the format that the suffix names; its .dot first, but for Mermaid.

        Errors: DrawError where it cannot be written or rendered; the .dot stands once written.
        """
        path = Path(path)
        if path.suffix == ".mmd":
            _write(path, self.mermaid.encode())
            return
        source = path.with_suffix(".dot")
        _write(source, self.dot.encode())
        if path.suffix == ".dot":
            return
        try:
            made = self.html.encode() if path.suffix == ".html" else None
            data = made or self._rendered(self.picture, path.suffix.removeprefix("."))[1]
        except DrawError as error:
            message = f"{str(error)[:-1]}; the graph is kept in {source}."
            raise DrawError(message) from None
        _write(path, data)

    def _rendered(self, picture: Picture, format: str) -> tuple[Picture, bytes]:
        """The picture, or a simpler one where its layout takes too long; and what it looks like."""
        for boxes in (len(picture.boxes), *(n for n in SMALLER if n < len(picture.boxes))):
            try:
                small = shortened(picture, boxes)
                return small, render(dot_of(small, self.theme, self.language), format)
            except LayoutError as error:
                slow = error
                warnings.warn(f"draw: {error} Drawing less.", stacklevel=2)
        raise slow


class Plot:
    """A picture that is no graph: `draw(format)` gives it as bytes."""

    def __init__(self, draw: Callable[[str], bytes]) -> None:
        self._draw = draw

    @property
    def svg(self) -> str:
        return self._draw("svg").decode()

    def _repr_svg_(self) -> str:
        return fitted(self.svg)

    def save(self, path: str | Path) -> None:
        """Errors: DrawError."""
        path = Path(path)
        if path.suffix not in PLOT_SUFFIXES:
            what = f"{str(path)!r}: this view is no graph, it ends in {', '.join(PLOT_SUFFIXES)}"
            raise DrawError(explain("draw", what))
        _write(path, self._draw(path.suffix.removeprefix(".")))


class LayoutError(DrawError):
    """The renderer was stopped."""


def renderer() -> str:
    """The program that draws. Errors: DrawError if there is none."""
    for name in RENDERERS:
        # The second look is for an environment that runs without being activated.
        found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
        if found:
            return found
    remedy = "install Graphviz, or: pip install graphviz-pure"
    raise DrawError(explain("draw", "neither dot nor graphviz-pure was found", remedy=remedy))


def render(dot: str, format: str) -> bytes:
    """The picture in `format`. Errors: DrawError if the renderer fails, dies or hangs."""
    program = renderer()
    try:
        done = subprocess.run(
            [program, f"-T{format}"],
            input=dot.encode(),
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        what = f"{program} was stopped after {TIMEOUT_SECONDS:g} s"
        remedy = "draw less: view blocks, or a depth"
        raise LayoutError(explain("draw", what, remedy=remedy)) from None
    except OSError as error:
        raise DrawError(explain("draw", f"{program} cannot run: {error.strerror}")) from None
    if done.returncode or not done.stdout:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        end = f"signal {-done.returncode}" if done.returncode < 0 else f"code {done.returncode}"
        said = f": {words[-1]}" if words else ""
        # graphviz-pure refuses the formats that it lacks before it draws.
        lacks = "graphviz-pure" in program and format not in ("svg", "png")
        remedy = f"install Graphviz, whose dot writes {format}, or write .svg" if lacks else ""
        what = f"{program} ended with {end} and no picture{said}"
        raise DrawError(explain("draw", what, remedy=remedy))
    return done.stdout


def _write(path: Path, data: bytes) -> None:
    try:
        write_whole(path, data)
    except OSError as error:
        remedy = "make the folder first" if not path.parent.exists() else "choose another place"
        what = f"cannot write {path}: {error.strerror}"
        raise DrawError(explain("draw", what, remedy=remedy)) from None
