"""What tests of runs by several ranks share: what a folder holds, and who trains in it."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.distributed import mpi


def state_of(path: Path) -> dict[str, np.ndarray]:
    return load_file(path / "checkpoint.safetensors")


def losses_of(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


def steps_of(path: Path) -> int:
    """Steps that are noted; of a line that is just being written a part may be there."""
    metrics = path / "metrics.jsonl"
    return metrics.read_bytes().count(b"\n") if metrics.exists() else 0


def assert_alike(path: Path, other: Path) -> None:
    """Losses within 3e-6 at each step, weights within 1e-4, moments within 1e-4 of the largest."""
    found, truth = state_of(path), state_of(other)
    assert found.keys() == truth.keys()
    for row, want in zip(losses_of(path), losses_of(other), strict=True):
        assert row["step"] == want["step"]
        assert row["loss"] == pytest.approx(want["loss"], abs=3e-6)
        assert row["gradient_norm"] == pytest.approx(want["gradient_norm"], rel=1e-5)
        assert row.get("validation", 0) == pytest.approx(want.get("validation", 0), abs=3e-6)
    for name, array in found.items():
        scale = 1 if name.startswith("model.") else np.abs(truth[name]).max() + 1e-12
        assert np.abs(array - truth[name]).max() <= 1e-4 * scale, name


def assert_same_bits(path: Path, other: Path) -> None:
    found, truth = state_of(path), state_of(other)
    assert {k: v.tobytes() for k, v in found.items()} == {k: v.tobytes() for k, v in truth.items()}


def stop_after(job: subprocess.Popen[str], path: Path, steps: int) -> None:
    """Waits until so many steps are noted."""
    until = time.monotonic() + mpi.LIMIT
    while steps_of(path) < steps and time.monotonic() < until and job.poll() is None:
        time.sleep(0.05)
    assert steps_of(path) >= steps, job.poll()


def ranks_of(path: Path) -> list[int]:
    """The processes that train in this folder; the launcher is none of them."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[1:4] == [b"-m", b"tinygrad_tx", b"train"] and str(path).encode() in words:
            found.append(int(place.name))
    return sorted(found)
