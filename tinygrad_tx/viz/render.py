"""Drawing: DOT text, and the pictures that Graphviz makes of it.

`dot` where it is installed, else `graphviz-pure`, which comes with this package. The .dot is
written first and kept whatever happens to the renderer.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tinygrad_tx.errors import DrawError, explain
from tinygrad_tx.files import write_whole

__all__ = ["SUFFIXES", "TIMEOUT_SECONDS", "Drawing", "renderer"]

SUFFIXES = (".svg", ".png", ".pdf", ".dot")
TIMEOUT_SECONDS = 60.0
RENDERERS = ("dot", "graphviz-pure")


class Drawing:
    """A picture. In a notebook it shows itself."""

    def __init__(self, dot: str) -> None:
        self.dot = dot
        self._svg = ""

    @property
    def svg(self) -> str:
        """The picture as SVG. Errors: DrawError."""
        if not self._svg:
            self._svg = render(self.dot, "svg").decode()
        return self._svg

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | Path) -> None:
        """Writes the .dot, then the picture of the format that the suffix names.

        Errors: DrawError where it cannot be written or rendered; the .dot stands once written.
        """
        path = Path(path)
        source = path.with_suffix(".dot")
        _write(source, self.dot.encode())
        if path.suffix == ".dot":
            return
        try:
            picture = render(self.dot, path.suffix.removeprefix("."))
        except DrawError as error:
            message = f"{str(error)[:-1]}; the graph is kept in {source}."
            raise DrawError(message) from None
        _write(path, picture)


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
        raise DrawError(
            explain("draw", what, remedy="draw less: view blocks, or a depth")
        ) from None
    except OSError as error:
        raise DrawError(explain("draw", f"{program} cannot run: {error.strerror}")) from None
    if done.returncode or not done.stdout:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        end = f"signal {-done.returncode}" if done.returncode < 0 else f"code {done.returncode}"
        said = f": {words[-1]}" if words else ""
        raise DrawError(explain("draw", f"{program} ended with {end} and no picture{said}"))
    return done.stdout


def _write(path: Path, data: bytes) -> None:
    try:
        write_whole(path, data)
    except OSError as error:
        raise DrawError(explain("draw", f"cannot write {path}: {error.strerror}")) from None
