"""The page of dependencies, and that of contributing, name what there is and nothing else."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "docs" / "CONTRIBUTING.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def rows(heading: str) -> dict[str, list[str]]:
    """The cells of each row of the table under a heading, by the package in the first."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {first.strip("`"): rest for first, *rest in cells}


def name_of(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None
    return found[0]


def test_every_package_that_runs_it_earns_its_row() -> None:
    found = rows("To run")
    assert found.keys() == {name_of(r) for r in PROJECT["dependencies"]}
    assert all(len(cells) == 3 and all(cells) for cells in found.values())


def test_every_extra_stands_beside_its_packages() -> None:
    wanted: dict[str, set[str]] = {}
    for extra, requirements in PROJECT["optional-dependencies"].items():
        for requirement in requirements:
            wanted.setdefault(name_of(requirement), set()).add(extra)
    found = {name: set(cells[0].split(", ")) for name, cells in rows("Extras").items()}
    assert found == wanted


def test_every_generator_is_told_to_contributors() -> None:
    there = {f"docs/{p.name}" for p in (ROOT / "docs").glob("make_*.py")}
    assert set(re.findall(r"docs/make_\w+\.py", CONTRIBUTING)) == there
