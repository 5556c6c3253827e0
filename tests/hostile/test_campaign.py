"""The campaign of damaged files, whole: `python -m tests.hostile.campaign` writes its page."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGN = Path(__file__).parent / "campaign.py"
ROOT = CAMPAIGN.parents[2]


@pytest.mark.slow
def test_ten_thousand_damaged_files_are_refused_or_loaded(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, CAMPAIGN, "--files", "10000", "--keep", tmp_path],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TINYGRAD_TX_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    total = next(line for line in done.stdout.splitlines() if line.startswith("| all |"))
    assert " | 0 | 0 | " in total  # none crashed, none hung
