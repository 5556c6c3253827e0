"""Imports go down only: see the layers in docs/architecture.md."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "tinygrad_tx"
PAGE = PACKAGE.parent / "docs" / "architecture.md"


def layers() -> list[tuple[str, ...]]:
    """The rows of the page's table, from the bottom up; the parts of one may use each other."""
    table = PAGE.read_text(encoding="utf-8").split("| layer | what it is |")[1].split("\n\n")[0]
    rows = [line.split("|")[1] for line in table.strip().splitlines()[1:]]
    return [tuple(re.findall(r"`(\w+)`", row)) for row in reversed(rows)]


LAYERS = layers()
LEVEL = {part: i for i, row in enumerate(LAYERS) for part in row}

# Folder by folder: rglob does not follow the links to ops/ and models/.
FILES = sorted(
    path
    for place in PACKAGE.iterdir()
    for path in (place.rglob("*.py") if place.is_dir() else [place])
    if path.suffix == ".py" and not (path.parent == PACKAGE and path.name.startswith("__"))
)


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> list[tuple[str, tuple[str, ...]]]:
    found: list[tuple[str, tuple[str, ...]]] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(a.name, ()) for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.module, tuple(a.name for a in node.names)))
    return [(m, names) for m, names in found if m.split(".")[0] == "tinygrad_tx"]


def test_every_part_has_a_layer_and_every_layer_has_parts() -> None:
    assert {part_of(p) for p in FILES} == LEVEL.keys()
    assert sum(map(len, LAYERS)) == len(LEVEL)


def test_imports_go_down() -> None:
    wrong = []
    for path in FILES:
        part = part_of(path)
        for module, names in imports_of(path):
            inner = module.split(".")[1:2] or [n for n in names if n in LEVEL]
            wrong += [f"{path.name}: {module}" for m in inner if LEVEL[m] > LEVEL[part]]
    assert wrong == []


def test_nobody_imports_private_names_of_another_part() -> None:
    wrong = [
        f"{path}: {module}.{name}"
        for path in FILES
        for module, names in imports_of(path)
        for name in names
        if name.startswith("_")
        and not name.endswith("__")
        and module.split(".")[1:2] != [part_of(path)]
    ]
    assert wrong == []


NEEDS = {"tinygrad_tx.estimators": "sklearn"}
"""What a module cannot be loaded without."""


def is_there(library: str | None) -> bool:
    return library is None or importlib.util.find_spec(library) is not None


def test_what_a_module_lists_it_has() -> None:
    wrong = []
    for path in FILES:
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        if parts[-1] == "__main__" or not is_there(NEEDS.get(name)):
            continue
        module = importlib.import_module(name)
        listed = getattr(module, "__all__", ())
        wrong += [f"{name}: {n}" for n in listed if not hasattr(module, n)]
    assert wrong == []
