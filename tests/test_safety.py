"""No code is made out of text or data, but in the places listed here, each with its reason."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "tinygrad_tx"

ALLOWED = {
    ("runtime/kernels.py", "exec"): "modules of generated kernels, whose text was made here",
    ("runtime/kernels.py", "compile"): "the same",
    ("runtime/stored.py", "import pickle"): "what Numba keeps of a kernel: verified bytes alone",
    ("runtime/stored.py", "pickle.loads"): "the same",
    ("testing/repro.py", "compile"): "a lambda of the caller's own file, compared and never run",
}

RUNS_TEXT = {"eval", "exec", "compile", "__import__", "breakpoint"}
MODULES = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "code"}
MODULES |= {"codeop", "pty", "commands"}
ATTRIBUTES = {
    ("os", "system"),
    ("os", "popen"),
    ("subprocess", "getoutput"),
    ("subprocess", "getstatusoutput"),
    ("yaml", "load"),
    ("yaml", "unsafe_load"),
    ("runpy", "run_path"),
    ("runpy", "run_module"),
    ("pickle", "loads"),
    ("pickle", "load"),
}
SETTINGS = {("shell", True), ("allow_pickle", True), ("weights_only", False)}


def findings(text: str) -> Iterator[str]:
    """What in a source runs text, or reads data that can."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = {a.name.split(".")[0] for a in node.names} & MODULES
            yield from (f"import {name}" for name in names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module.split(".")[0] in MODULES:
                yield f"import {node.module}"
            pairs = {(node.module, a.name) for a in node.names} & ATTRIBUTES
            yield from (".".join(pair) for pair in pairs)
        elif isinstance(node, ast.Name) and node.id in RUNS_TEXT:
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if (node.value.id, node.attr) in ATTRIBUTES:
                yield f"{node.value.id}.{node.attr}"
            elif node.value.id in ("builtins", "__builtins__") and node.attr in RUNS_TEXT:
                yield node.attr
        elif isinstance(node, ast.keyword):
            value = getattr(node.value, "value", None)
            yield from (f"{a}={v}" for a, v in SETTINGS if a == node.arg and v is value)


def test_nothing_in_the_package_runs_text() -> None:
    found = {
        (path.relative_to(PACKAGE).as_posix(), what)
        for folder in (PACKAGE, PACKAGE / "ops", PACKAGE / "models")
        for path in folder.rglob("*.py")
        for what in findings(path.read_text(encoding="utf-8"))
    }
    assert found - ALLOWED.keys() == set()
    assert ALLOWED.keys() - found == set(), "a place that needs no permission any more"


@pytest.mark.parametrize(
    "text",
    [
        "eval('1')",
        "run = exec",
        "import builtins; builtins.eval('1')",
        "__import__('os')",
        "import pickle",
        "from marshal import loads",
        "from os import system",
        "import os; os.system('true')",
        "import subprocess; subprocess.run('true', shell=True)",
        "import numpy as np; np.load('x', allow_pickle=True)",
        "import torch; torch.load('x', weights_only=False)",
        "import yaml; yaml.load('x')",
    ],
)
def test_each_way_would_be_found(text: str) -> None:
    assert list(findings(text))


@pytest.mark.parametrize("text", ["model.eval()", "re.compile('x')", "f(shell=False)", "'eval()'"])
def test_what_only_looks_like_it_is_not(text: str) -> None:
    assert list(findings(text)) == []
