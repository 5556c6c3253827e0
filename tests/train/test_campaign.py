"""The fault campaign, shortened: `python tests/train/campaign.py` is the whole of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGN = Path(__file__).parent / "campaign.py"
ROOT = CAMPAIGN.parents[2]


@pytest.mark.slow
def test_nothing_is_lost_whatever_happens() -> None:
    done = subprocess.run(
        [sys.executable, CAMPAIGN, "--kills", "12", "--flips", "40"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TINYGRAD_TX_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("| 0 |\n") == 8  # of each kind of fault none was lost
