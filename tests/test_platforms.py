"""The package loads where Unix's own modules are missing, as on Windows and macOS."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# The standard library needs some of these for itself here: it is loaded first.
WITHOUT = """
import os, sys
import numba, numpy, subprocess, multiprocessing, tempfile, shutil, pathlib, matplotlib, typer
import rich.console, concurrent.futures, graphviz, scipy.stats, tokenizers, asyncio, getpass
for name in ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty"):
    sys.modules[name] = None
for name in ("fork", "getuid", "geteuid", "sched_getaffinity", "O_DIRECTORY", "O_NOFOLLOW",
             "O_NONBLOCK", "O_CLOEXEC", "pread", "mkfifo", "posix_fadvise", "nice", "getpgid",
             "killpg"):
    if hasattr(os, name):
        delattr(os, name)
import signal
for name in ("SIGKILL", "SIGHUP", "SIGALRM", "SIGXFSZ"):
    delattr(signal, name)
"""

LOADED = """
import importlib, pkgutil
import tinygrad_tx as tx
skipped = ("tinygrad_tx.bench", "tinygrad_tx.testing.plugin", "tinygrad_tx.__main__")
for found in pkgutil.walk_packages(tx.__path__, "tinygrad_tx."):
    if not found.name.startswith(skipped) and not found.name.endswith("__main__"):
        try:
            importlib.import_module(found.name)
        except ImportError as error:
            # Extras that are not installed are no concern of this test.
            assert error.name not in ("fcntl", "resource", "pwd", "grp", "termios"), found.name
"""

RUN = """
import numpy as np
from pathlib import Path
from tinygrad_tx.files import locked, write_whole
assert tx.config.threads >= 1
x = np.ones((3, 4), np.float32)
assert float(tx.jit(lambda x: (tx.tanh(x) * 2).sum())(x)) > 18
with locked(Path("lock")):
    write_whole(Path("file"), "whole")
assert Path("file").read_text() == "whole"
from tinygrad_tx.data.token_set import Shard, TokenSide
Path("learning-00000.tokens").write_bytes(bytes([1, 0, 2, 0, 3, 0]))
side = TokenSide(Path(), [Shard("learning", 0, 3, 1, 3, "", "")], "uint16", 9)
assert side.rows(np.zeros(1, int), np.ones(1, int), 2).tolist() == [[2, 3]]
assert tx.cache_info().kernels > 0
print("ran")
"""


def run(text: str, folder: Path) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "TINYGRAD_TX_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", text],
        env={**environment, "TINYGRAD_TX_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_package_runs_without_what_only_unix_has(tmp_path: Path) -> None:
    assert run(WITHOUT + LOADED + RUN, tmp_path).strip() == "ran"


def test_classifiers_name_the_versions_that_are_required_and_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [c.rsplit(" ", 1)[1] for c in project["classifiers"] if " :: 3." in c]
    assert named == ["3.11", "3.12", "3.13"]
    assert project["requires-python"] == f">={named[0]}"
    assert "Operating System :: POSIX :: Linux" in project["classifiers"]
