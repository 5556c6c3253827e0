"""Runs the guides: pages whose Python is one program, told in order, with what it prints below it.

python docs/make_guides.py [NAME ...] writes the output of each block of docs/guides/NAME.md anew,
and beside it the pictures that the program leaves in its folder. A guide begins with the line MARK.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

GUIDES = Path(__file__).parent / "guides"
MARK = "<!-- a guide: its blocks are one program; docs/make_guides.py writes what they print -->"
BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<output>.*?)^```\n)?", re.S | re.M
)


def guides() -> list[Path]:
    """The pages that are guides."""
    pages = sorted(GUIDES.glob("*.md"))
    return [page for page in pages if page.read_text(encoding="utf-8").startswith(MARK)]


def run(page: Path, keep: Callable[[Path], None] = lambda folder: None) -> str:
    """The text of the page with what its blocks print now. keep gets the folder it ran in."""
    text = page.read_text(encoding="utf-8")
    names: dict[str, object] = {"__name__": "__main__"}

    def ran(block: re.Match[str]) -> str:
        line = text[: block.start("code")].count("\n")
        # Lines keep their numbers, so that errors name the place in the page.
        code = compile("\n" * line + block["code"], str(page), "exec")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, names)
        output = "\n".join(row.rstrip() for row in printed.getvalue().splitlines())
        shown = f"\n```text\n{output}\n```\n" if output else ""
        return f"```python\n{block['code']}```\n{shown}"

    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            made = BLOCK.sub(ran, text)
            keep(Path(folder))
        finally:
            os.chdir(before)
    return made


def keep_pictures(folder: Path) -> None:
    """Copies the drawings and plots of a run."""
    for path in sorted(folder.rglob("*.svg")):
        shutil.copyfile(path, GUIDES / path.name)


if __name__ == "__main__":
    for page in guides():
        if not sys.argv[1:] or page.stem in sys.argv[1:]:
            page.write_text(run(page, keep_pictures), encoding="utf-8")
            print(page.name)
