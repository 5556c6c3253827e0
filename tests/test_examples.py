"""Every example runs, and says at its end what the table of docs/examples/README.md says."""

from __future__ import annotations

import json
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "docs" / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
SOURCES = sorted((EXAMPLES / "notebooks").glob("*.py"))
NEEDS = {
    "onnx_roundtrip": ("onnx", "onnxruntime"),
    "sklearn_pipeline": ("sklearn",),
    "torch_function_gradcheck": ("torch",),
    "vision_transformer": ("sklearn",),
}
PATHS = re.compile(r"/tmp/|/home/|/root/|/work/|/Users/")
ROWS = dict(
    re.findall(
        r"^\| \[(\S+?)\]\(\1\) \|.*\| `?(.*?)`? \|$", (EXAMPLES / "README.md").read_text(), re.M
    )
)
"""What the table says of each file: its last line, or what a notebook ends with."""


def words_of(text: str) -> list[str]:
    """Without numbers, which a small budget changes."""
    return re.findall(r"[^\W\d_]{2,}", text)


def test_the_table_has_every_file() -> None:
    assert set(ROWS) == {path.name for path in (*SCRIPTS, *NOTEBOOKS)}
    assert {p.stem for p in SOURCES} == {p.stem for p in NOTEBOOKS}


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(p, id=p.stem, marks=[pytest.mark.parity] if p.stem in NEEDS else [])
        for p in SCRIPTS
    ],
)
def test_a_script_runs_with_a_small_budget_and_ends_as_the_table_says(
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for library in NEEDS.get(path.stem, ()):
        pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [path.name, "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(path), run_name="__main__")
    assert "--quick" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", [path.name, "--quick"])
    runpy.run_path(str(path), run_name="__main__")
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert words_of(last) == words_of(ROWS[path.name])


def test_a_text_that_is_not_there_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = tmp_path / "novel.txt"
    monkeypatch.setattr(sys, "argv", ["train_gpt.py", "--quick", "--text", str(missing)])
    with pytest.raises(SystemExit, match=r"novel\.txt.*cannot be read"):
        runpy.run_path(str(EXAMPLES / "train_gpt.py"), run_name="__main__")


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def kinds(cell: Any) -> list[list[str]]:
    """What a cell shows: the kinds of each output."""
    return [sorted(o.get("data", {"text": ""})) for o in cell["outputs"]]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_shows_pictures_and_no_path_of_a_machine(path: Path) -> None:
    found = json.loads(path.read_text(encoding="utf-8"))
    shown = [kind for cell in code_cells(found) for kind in kinds(cell)]
    assert sum("image/svg+xml" in kind for kind in shown) >= 2
    assert not PATHS.search(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_is_that_of_its_source_and_runs(path: Path) -> None:
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    make = runpy.run_path(str(ROOT / "docs" / "make_notebooks.py"))
    source = EXAMPLES / "notebooks" / f"{path.stem}.py"
    kept = json.loads(path.read_text(encoding="utf-8"))
    texts = [(c["cell_type"], "".join(c["source"])) for c in kept["cells"]]
    made = make["made"](source)
    how = f"run: python docs/make_notebooks.py {path.stem}"
    assert texts == [(c["cell_type"], c["source"]) for c in made["cells"]], how
    again = make["run"](source)
    for before, now in zip(code_cells(kept), code_cells(again), strict=True):
        assert kinds(now) == kinds(before), how
