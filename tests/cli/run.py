"""A command in a process of its own, and the options of the smallest training worth running."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TINY = ("--layers", "1", "--heads", "1", "--width", "32", "--context", "16", "--batch", "4")


def command(*words: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`tinygrad-tx WORDS` in `folder`, whatever it ends with."""
    return subprocess.run(
        [sys.executable, "-m", "tinygrad_tx", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
