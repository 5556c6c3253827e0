"""Runs the notebooks: docs/examples/NAME.ipynb out of docs/examples/notebooks/NAME.py.

python docs/make_notebooks.py [NAME ...] makes each of its source and keeps what its cells show. A
source is Python: `# %%` begins a cell of code, `# %% [markdown]` one of text, whose lines are
comments. Needs the extra notebooks.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "docs" / "examples"
MARK = "# %%"


def sources() -> list[Path]:
    """What notebooks are made of."""
    return sorted((EXAMPLES / "notebooks").glob("*.py"))


def made(source: Path) -> Any:
    """The notebook of a source, not yet run."""
    cells = []
    for number, part in enumerate(source.read_text(encoding="utf-8").split(f"{MARK}")[1:]):
        kind, _, body = part.partition("\n")
        if kind.strip() == "[markdown]":
            lines = [line.removeprefix("#").removeprefix(" ") for line in body.strip().split("\n")]
            cell = nbformat.v4.new_markdown_cell("\n".join(lines))
        else:
            cell = nbformat.v4.new_code_cell(body.strip())
        cell["id"] = f"cell-{number}"  # a random one would make each run a change
        cells.append(cell)
    found = nbformat.v4.new_notebook(cells=cells)
    found.metadata["kernelspec"] = {
        "display_name": "Python 3", "language": "python", "name": "python3"
    }  # fmt: skip
    found.metadata["language_info"] = {"name": "python"}
    return found


def run(source: Path) -> Any:
    """The notebook with what its cells show, run in an empty folder. Errors: CellExecutionError."""
    # The kernel is a process of its own and reads this tree; this process keeps its environment.
    kernel = {
        **os.environ, "PYTHONPATH": str(ROOT), "PYDEVD_DISABLE_FILE_VALIDATION": "1"
    }  # fmt: skip
    notebook = made(source)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook, timeout=600, kernel_name="python3", record_timing=False,
            coalesce_streams=True, resources={"metadata": {"path": folder}},
        )  # fmt: skip
        client.execute(env=kernel)
    notebook.metadata["language_info"] = {"name": "python"}  # not which version it was run with
    return notebook


if __name__ == "__main__":
    for source in sources():
        if not sys.argv[1:] or source.stem in sys.argv[1:]:
            nbformat.write(run(source), EXAMPLES / f"{source.stem}.ipynb")
            print(source.stem)
