"""Runs the guides: pages whose blocks are one program, with what it prints below them.

python docs/make_guides.py [NAME ...] writes the output of each block of docs/guides/NAME.md anew,
and the pictures that the page shows; with --check it writes nothing, and fails where the page says
something else. A guide begins with the line MARK. Its blocks:

```python                 run in one namespace, in an empty folder
```python needs=torch     left as it stands where that library is not installed
```python file=NAME.py    written to that file, for other blocks to import; not run
```bash                   run by bash, with this checkout's tinygrad-tx on PATH; a command that
                          fails ends the guide
... output=varies         run and shown, but not compared: what a model writes differs by CPU

A picture `NAME/quick/loss.svg` is the file of that path in the program's folder, or else the one
whose path ends so. What is printed names files from the folder or this checkout on, and what
`train` says of its speed is left out.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GUIDES = ROOT / "docs" / "guides"
MARK = "<!-- a guide: its blocks are one program; docs/make_guides.py writes what they print -->"
BLOCK = re.compile(
    r"^```(?P<head>(?P<language>python|bash)(?P<options>(?: \w+=[\w.]+)*))\n(?P<code>.*?)^```\n"
    r"(?:\n```text\n(?P<output>.*?)^```\n)?",
    re.S | re.M,
)
PICTURE = re.compile(r"!\[[^\]]*\]\(([^)\s]+\.svg)\)")
OF_THE_MACHINE = re.compile(
    r"^Compiling kernels that .*\n|^A step takes .*\n"
    r"| +[\d,]+ tokens/s$|(?<=steps) and [\d.]+ (?:seconds|minutes|hours)",
    re.M,
)
"""What `train` says of a first run, of speed and of time: the page would tell of who made it."""


def guides() -> list[Path]:
    """The pages that are guides."""
    pages = sorted(GUIDES.glob("*.md"))
    return [page for page in pages if page.read_text(encoding="utf-8").startswith(MARK)]


def run(page: Path, keep: Callable[[Path], object] = lambda folder: None) -> str:
    """The text of the page with what its blocks print now. keep gets the folder it ran in.

    Errors: those of the blocks; RuntimeError for a command that fails, with what it said.
    """
    text = page.read_text(encoding="utf-8")
    names: dict[str, object] = {"__name__": "__main__"}

    def ran(block: re.Match[str]) -> str:
        options = options_of(block)
        if "file" in options:
            Path(options["file"]).write_text(block["code"], encoding="utf-8")
            return f"```{block['head']}\n{block['code']}```\n"
        needs = options.get("needs")
        if needs and importlib.util.find_spec(needs) is None:
            return block[0]
        line = text[: block.start("code")].count("\n")
        if block["language"] == "bash":
            printed = run_commands(block["code"], f"{page.name}, line {line + 1}")
        else:
            # Lines keep their numbers, so that errors name the place in the page.
            code = compile("\n" * line + block["code"], str(page), "exec")
            stdout = io.StringIO()
            with contextlib.redirect_stdout(stdout):
                exec(code, names)
            printed = stdout.getvalue()
        for machine in (f"{folder}/", f"{ROOT}/"):
            printed = printed.replace(machine, "")
        rows = [row.rstrip() for row in OF_THE_MACHINE.sub("", printed).splitlines()]
        output = "\n".join(rows)
        shown = f"\n```text\n{output}\n```\n" if output.strip() else ""
        return f"```{block['head']}\n{block['code']}```\n{shown}"

    before = Path.cwd()
    with tempfile.TemporaryDirectory() as made_for_it:
        folder = Path(made_for_it).resolve()
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        try:
            made = BLOCK.sub(ran, text)
            keep(folder)
        finally:
            os.chdir(before)
            sys.path.remove(str(folder))
    return made


def options_of(block: re.Match[str]) -> dict[str, str]:
    """What stands after the language of a block."""
    return dict(option.split("=") for option in block["options"].split())


def run_commands(code: str, place: str) -> str:
    """What commands print, both streams, as a terminal without a bar would show it."""
    beside = str(Path(sys.executable).parent)
    paths = {"PATH": beside, "PYTHONPATH": str(ROOT)}
    env = os.environ | {
        k: os.pathsep.join(filter(None, [v, os.getenv(k)])) for k, v in paths.items()
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{place}: ended with {done.returncode}\n{done.stdout}")
    return done.stdout


def compared(text: str) -> str:
    """A page without the output of blocks whose output varies."""

    def same(block: re.Match[str]) -> str:
        varies = options_of(block).get("output") == "varies"
        return block["code"] if varies else block[0]

    return BLOCK.sub(same, text)


def pictures(page: Path, folder: Path) -> dict[Path, Path]:
    """Where each picture of a page stands, and the file of the program that it is.

    Errors: LookupError where no file, or more than one, has its name."""
    made = {}
    for shown in PICTURE.findall(page.read_text(encoding="utf-8")):
        if shown.startswith(".."):
            continue  # of the gallery, or another page
        end = Path(shown.removeprefix(f"{page.stem}/"))
        found = [p for p in folder.rglob(end.name) if p.parts[-len(end.parts) :] == end.parts]
        found = [p for p in found if p == folder / end] or found
        if len(found) != 1:
            raise LookupError(f"{page.name} shows {shown}; the program left {len(found)} of it")
        made[page.parent / shown] = found[0]
    return made


def keep_pictures(page: Path, folder: Path) -> None:
    """Copies what the page shows to where it shows it."""
    for shown, made in pictures(page, folder).items():
        shown.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made, shown)


def words_of(text: str) -> list[str]:
    """Without numbers and the width of columns, which differ a little from CPU to CPU; but lines of
    the page itself by their numbers."""
    return re.findall(r"\w+\.md:\d+|[^\W\d_]{2,}", compared(text))


def check(page: Path) -> list[str]:
    """What a page says and its run does not, and the other way round."""
    made = run(page, lambda folder: pictures(page, folder))
    shown = words_of(page.read_text(encoding="utf-8"))
    return [line for line in difflib.ndiff(shown, words_of(made)) if line[0] in "+-"]


def main(words: list[str]) -> int:
    is_check, wanted = "--check" in words, [w for w in words if w != "--check"]
    for page in (p for p in guides() if not wanted or p.stem in wanted):
        if is_check:
            if differences := check(page):
                print(f"{page.name}: run docs/make_guides.py {page.stem}", *differences, sep="\n")
                return 1
        else:
            written = run(page, lambda folder, page=page: keep_pictures(page, folder))
            page.write_text(written, encoding="utf-8")
        print(page.name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
