"""What docs/architecture.md says of the tree: imports go down only, and each part is whole."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tinygrad_tx"
PAGE = ROOT / "docs/architecture.md"
LONGEST = 600


def layers_of(page: str) -> list[tuple[str, ...]]:
    """The table of layers, from the bottom up; the parts of one row may use each other."""
    table = page.split("## Layers")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return [tuple(re.findall(r"`(\w+)`", cell)) for cell in reversed(cells)]


LAYERS = layers_of(PAGE.read_text(encoding="utf-8"))
LEVEL = {part: i for i, row in enumerate(LAYERS) for part in row}


def files_below(folder: Path) -> list[Path]:
    """Every Python file, also behind the links `ops` and `models`, which rglob passes by."""
    found = []
    for entry in sorted(folder.iterdir()):
        if entry.is_dir():
            found += files_below(entry)
        elif entry.suffix == ".py":
            found.append(entry)
    return found


FILES = [p for p in files_below(PACKAGE) if p.parent != PACKAGE or not p.name.startswith("__")]


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


def module_of(path: Path) -> str:
    """a/b/__init__.py is the module a.b."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def test_the_page_has_each_part_once_and_no_other() -> None:
    listed = [part for row in LAYERS for part in row]
    assert sorted(listed) == sorted({part_of(p) for p in FILES})


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


NEEDS = {
    "tinygrad_tx.estimators": "sklearn",
    "tinygrad_tx.bench.torch_models": "torch",
    "tinygrad_tx.bench.lenses": "torch",
}
"""What a module cannot be loaded without."""


def is_there(library: str | None) -> bool:
    return library is None or importlib.util.find_spec(library) is not None


def test_what_a_module_lists_it_has() -> None:
    wrong = []
    for path in files_below(PACKAGE):
        name = module_of(path)
        if path.name == "__main__.py" or not is_there(NEEDS.get(name)):
            continue
        module = importlib.import_module(name)
        listed = getattr(module, "__all__", ())
        wrong += [f"{name}: {n}" for n in listed if not hasattr(module, n)]
    assert wrong == []


def test_no_file_is_longer_than_anyone_reads() -> None:
    # `ops` and `models` lie behind links in the first.
    files = [p for name in ("tinygrad_tx", "tests", "docs") for p in files_below(ROOT / name)]
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {str(p): n for p, n in lengths.items() if n > LONGEST} == {}


def test_every_folder_of_the_package_opens_with_what_it_is() -> None:
    folders = {path.parent for path in files_below(PACKAGE)}
    assert [f for f in sorted(folders) if not (f / "__init__.py").exists()] == []


def test_every_module_says_what_it_is() -> None:
    trees = {p: ast.parse(p.read_text(encoding="utf-8")) for p in files_below(PACKAGE)}
    assert [module_of(p) for p, tree in trees.items() if not ast.get_docstring(tree)] == []


BY_NAME = {
    "tinygrad_tx.estimators",
    "tinygrad_tx.graph.text",
    "tinygrad_tx.reasoning.circuits.known_tasks",
    "tinygrad_tx.sizing.published",
    "tinygrad_tx.testing.given",
    "tinygrad_tx.testing.graphs",
}
"""What people import by its whole name: it needs another library, or is for trying things out."""


def started_by_others() -> set[str]:
    """What pyproject.toml gives to pip and to pytest, what runs by `-m`, and the operators."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    tables = [project["scripts"], *project["entry-points"].values()]
    named = {place.split(":")[0] for table in tables for place in table.values()}
    run = {"tinygrad_tx.__main__", "tinygrad_tx.bench.contender"}
    return named | run | {module_of(p) for p in (PACKAGE / "ops").glob("*.py")}


def test_every_module_is_imported_by_another() -> None:
    used = set()
    for path in files_below(PACKAGE):
        here = module_of(path)
        for module, names in imports_of(path):
            used |= {m for m in (module, *(f"{module}.{n}" for n in names)) if m != here}
    packages = {module_of(p) for p in files_below(PACKAGE) if p.name == "__init__.py"}
    alone = {module_of(p) for p in files_below(PACKAGE)} - used - packages
    assert alone - started_by_others() == BY_NAME


def test_the_list_of_test_folders_is_whole() -> None:
    page = (ROOT / "tests/README.md").read_text(encoding="utf-8")
    folders = {p.relative_to(ROOT / "tests").as_posix() for p in (ROOT / "tests").rglob("*.py")}
    folders = {folder.rpartition("/")[0] for folder in folders} - {""}
    assert folders == set(re.findall(r"^\| `([\w/]+)/`", page, re.MULTILINE))
