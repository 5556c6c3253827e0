"""What the documents say runs, and what is generated is up to date."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```python(?: needs=(\w+))?\n(.*?)^```", re.S | re.M)
MAKE_GUIDES = runpy.run_path(str(ROOT / "docs" / "make_guides.py"))
GUIDES = MAKE_GUIDES["guides"]()
EXAMPLES = [
    pytest.param(needs, code, id=f"{page.name}-{i}", marks=[pytest.mark.parity] if needs else [])
    for page in PAGES
    if page not in GUIDES
    for i, (needs, code) in enumerate(FENCE.findall(page.read_text()))
]


@pytest.mark.parametrize(("needs", "code"), EXAMPLES)
def test_examples_run(
    needs: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if needs:
        pytest.importorskip(needs)
    monkeypatch.chdir(tmp_path)
    prelude = "import numpy as np\nimport tinygrad_tx as tx\n"
    (tmp_path / "example.py").write_text(prelude + code)
    runpy.run_path("example.py")


@pytest.mark.slow
@pytest.mark.parametrize("page", GUIDES, ids=lambda p: p.name)
def test_a_guide_runs_as_one_program_and_prints_what_it_shows(page: Path) -> None:
    """What it claims of its numbers it asserts itself. In a process of its own: a guide may add
    operators and passes. With one thread: other tests run beside it, and a thread that waits for a
    processor makes the others of its step wait."""
    make = ROOT / "docs" / "make_guides.py"
    command = [sys.executable, "-W", "error", make, "--check", page.stem]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TINYGRAD_TX_THREADS": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_transformer_from_tensors_has_sixty_lines() -> None:
    page = ROOT / "docs" / "guides" / "transformer-from-tensors.md"
    blocks = [code for _, code in FENCE.findall(page.read_text(encoding="utf-8"))]
    told = [code for code in blocks if "(tx.nn.Module)" in code or "@tx.jit" in code]
    assert len(told) == 2
    assert sum(bool(line.strip()) for code in told for line in code.splitlines()) <= 60


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    # Code indexes and calls.
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.S | re.M)
    for target in re.findall(r"\]\(([^)#]+)\)", prose):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", ["operators", "models", "onnx", "results", "sizing"])
def test_generated_pages_are_up_to_date(page: str) -> None:
    made = subprocess.run(
        [sys.executable, ROOT / "docs" / f"make_{page}.py"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert (ROOT / "docs" / f"{page}.md").read_text() == made, (
        f"run: python docs/make_{page}.py > docs/{page}.md"
    )


def test_the_table_of_other_libraries_is_up_to_date() -> None:
    page = (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")
    found = json.loads((ROOT / "docs" / "peers.json").read_text(encoding="utf-8"))
    made = runpy.run_path(str(ROOT / "docs" / "make_peers.py"))["with_table"](page, found)
    assert page == made, "run: python docs/make_peers.py table"


def test_the_results_in_the_readme_are_up_to_date() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "make_results.py"))
    found = json.loads((ROOT / "docs" / "results.json").read_text(encoding="utf-8"))
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert made["readme"](text, found) == text, "run: python docs/make_results.py --readme"


def test_the_results_of_tasks_are_up_to_date() -> None:
    page = ROOT / "docs" / "tasks.md"
    made = runpy.run_path(str(ROOT / "docs" / "make_tasks.py"))["page"]()
    assert page.read_text(encoding="utf-8") == made, "run: python docs/make_tasks.py"
