"""Docstrings of the packages installed: a first line, and the body that it sums up.

Sources are parsed, never imported or run. What is found depends on what is installed.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import inspect
import re
import sysconfig
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinygrad_tx.data.snownlp import content_key
from tinygrad_tx.errors import DataError, explain

__all__ = ["Documented", "documented", "first_sentence", "held_out_packages", "name_words", "parts"]

# Copies of other packages, and code that tests or is made by a program.
LEFT_OUT = frozenset({"_vendor", "vendor", "vendored", "extern", "externals", "tests", "test"})
OWN = "tinygrad_tx"
FIRST_WORDS, BODY_WORDS = (3, 24), 8
MOST_BYTES = 400_000


@dataclass(frozen=True)
class Documented:
    """A function or class: the first line of its docstring, and the rest.

    package: as it is installed; its top-level modules, such as mypy and mypyc, count as one.
    """

    package: str
    name: str
    first: str
    body: str


def documented(
    roots: Sequence[Path] | None = None, files_of_package: int = 300
) -> list[Documented]:
    """Each body and each first line once, in the order of a hash: any beginning is a sample.

    roots: folders of packages; of Python's own site-packages if not given. Of a large package
    `files_of_package` files are read. Errors: DataError where nothing is found.
    """
    if roots is None:
        roots = sorted({Path(sysconfig.get_path(p)) for p in ("purelib", "platlib")})
    found: dict[str, Documented] = {}
    bodies: set[str] = set()
    for root in roots:
        for package, path in _sources(root, files_of_package):
            for one in _in_file(package, path):
                key, body = content_key(one.first), content_key(one.body)
                if key not in found and body not in bodies:
                    found[key] = one
                    bodies.add(body)
    if not found:
        what = f"no docstrings with a body in {', '.join(map(str, roots))}"
        remedy = "install some packages, such as sympy and networkx"
        raise DataError(explain("docstrings", what, remedy=remedy))
    return [found[key] for key in sorted(found, key=_digest)]


def held_out_packages(some: Sequence[Documented], share: float = 0.1) -> frozenset[str]:
    """Whole packages with about `share` of all: in the order of a hash, as far as they fit."""
    counts = Counter(one.package for one in some)
    room, chosen = 1.2 * share * len(some), set()
    for package in sorted(counts, key=_digest):
        if counts[package] <= room:
            chosen.add(package)
            room -= counts[package]
    if len(counts) > 1 and not chosen:
        chosen.add(min(counts, key=lambda p: (counts[p], p)))
    return frozenset(chosen)


def parts(some: Sequence[Documented]) -> tuple[list[Documented], list[Documented]]:
    """(to learn from, held out), no package in both.

    Bodies and first lines are alone in all already. Errors: DataError for a single package.
    """
    held = held_out_packages(some)
    split = tuple([o for o in some if (o.package in held) == side] for side in (False, True))
    if not all(split):
        what = "all docstrings are of one package, so that none can be held out"
        raise DataError(explain("docstrings", what, remedy="install another package"))
    return split[0], split[1]


def first_sentence(text: str) -> str:
    """Up to the first full stop before a space, or all."""
    return re.split(r"(?<=[.!?])\s", text, maxsplit=1)[0]


def name_words(name: str) -> str:
    """ "readFile_at" as "read file at"."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ")
    return " ".join(parted.lower().split())


def _sources(root: Path, most: int) -> Iterator[tuple[str, Path]]:
    """Packages with their files."""
    installed = importlib.metadata.packages_distributions()  # reads their lists of files alone
    for entry in sorted(root.iterdir()) if root.is_dir() else ():
        if entry.name == OWN or entry.suffix == ".dist-info":
            continue
        files = [entry] if entry.suffix == ".py" else []
        if entry.is_dir():
            inside = (p.relative_to(entry) for p in entry.rglob("*.py"))
            kept = [p for p in inside if not LEFT_OUT & set(p.parts)]
            files = [entry / p for p in sorted(kept, key=lambda p: _digest(p.as_posix()))[:most]]
        for path in files:
            yield installed.get(entry.stem, [entry.stem])[0], path


def _in_file(package: str, path: Path) -> Iterator[Documented]:
    try:
        raw = path.read_bytes()
        if len(raw) > MOST_BYTES or (b'"""' not in raw and b"'''" not in raw):
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other people's escapes
            tree = ast.parse(raw)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return  # not a source of this Python: there are others
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            text = ast.get_docstring(node, clean=False)
            split = text and _split(inspect.cleandoc(text))
            if split:
                yield Documented(package, node.name, *split)


def _split(text: str) -> tuple[str, str] | None:
    """The first line and the body; None where the first paragraph is not one line, or too short."""
    first, _, body = text.partition("\n\n")
    first, body = first.strip(), " ".join(body.split())
    words = len(first.split())
    if "\n" in first or not FIRST_WORDS[0] <= words <= FIRST_WORDS[1] or first.endswith(":"):
        return None
    return (first, body) if len(body.split()) >= BODY_WORDS else None


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
