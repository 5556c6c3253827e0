"""The user's program is clean to type checkers against an installed package, and it runs.

An editable install will not do: checkers do not follow its import hook.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
PROGRAM = Path(__file__).parent / "user.py"

MISTAKES = (
    "tx.tensor([1.0]).no_such_method()",
    "number: int = doubled(tx.tensor([1.0]))",
    "classifier: Classifier = nn.Module().eval()",
    'doubled("text")',
    'doubled(tx.tensor([1.0]), "two")',
    'doubled(tx.tensor([1.0]), facter="two")',
    "doubled()",
)
RIGHT = (
    "_picture: tx.Drawing = tx.draw(tx.tensor([1.0]))",
    '_plot: tx.Plot = tx.draw(tx.tensor([1.0]), view="memory")',
)
WRONG = "\n\ndef wrong() -> None:\n" + "".join(f"    {line}\n" for line in (*MISTAKES, *RIGHT))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the package as a wheel has it, and our libraries."""
    out = tmp_path_factory.mktemp("installed")
    venv.create(out, with_pip=False)
    (site,) = out.glob("lib/python*/site-packages")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(site)]
    subprocess.run([*pip, str(ROOT)], check=True, capture_output=True, timeout=600)
    (site / "libraries.pth").write_text(sysconfig.get_paths()["purelib"])
    assert (site / "tinygrad_tx" / "py.typed").exists()
    return out / "bin" / "python"


@pytest.mark.slow
def test_the_program_runs(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("user", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("level", ["basic", "strict"])
def test_pyright_is_clean(installed: Path, tmp_path: Path, level: str) -> None:
    pytest.importorskip("pyright", reason="pip install 'pyright[nodejs]'")
    assert pyright(PROGRAM.read_text(), installed, tmp_path, level) == []
    found = pyright(PROGRAM.read_text() + WRONG, installed, tmp_path, level)
    lines = (PROGRAM.read_text() + WRONG).splitlines()
    said = {lines[f["range"]["start"]["line"]].strip() for f in found if f["severity"] == "error"}
    assert said >= set(MISTAKES), "what is wrong must be seen"
    assert not said & set(RIGHT)


def pyright(text: str, installed: Path, folder: Path, level: str) -> list[dict[str, Any]]:
    (folder / "user.py").write_text(text)
    settings = {
        "include": ["user.py"],
        "typeCheckingMode": level,
        "pythonVersion": "3.11",
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    words = [sys.executable, "-m", "pyright", "-p", str(folder), "--outputjson"]
    words += ["--pythonpath", str(installed)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, check=False)
    found = json.loads(done.stdout)
    assert found["summary"]["filesAnalyzed"] == 1
    diagnostics: list[dict[str, Any]] = found["generalDiagnostics"]
    return diagnostics


@pytest.mark.slow
def test_mypy_is_clean(installed: Path, tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    done = mypy(PROGRAM.read_text(), installed, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    done = mypy(PROGRAM.read_text() + WRONG, installed, tmp_path)
    assert done.stdout.count("error:") == len(MISTAKES), done.stdout


def mypy(text: str, installed: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "user.py").write_text(text)
    words = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "user.py"]
    words += ["--python-executable", str(installed)]
    return subprocess.run(
        words, cwd=folder, capture_output=True, text=True, timeout=600, check=False
    )
