"""The pytest plug-in and given_gradients, in projects of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

GOOD = """
import tinygrad_tx as tx
from tinygrad_tx.testing.given import given_gradients
from tinygrad_tx.testing.strategies import arrays

@given_gradients(arrays(shape=(3,), kind="smooth"))
def test_good(x):
    return (tx.tanh(x) ** 2).sum()
"""
# The ten lines that a stranger writes; the bug is the missing factor.
PLANTED = """
import numpy as np
from tinygrad_tx.testing.given import given_gradients
from tinygrad_tx.testing.strategies import arrays
from losses import log_loss, log_loss_gradient

test_loss = given_gradients(
    arrays(shape=(4,), kind="smooth"), gradient=log_loss_gradient
)(log_loss)
"""
LOSSES = """
import numpy as np

def log_loss(x):
    return np.log1p(np.exp(-x)).mean()

def log_loss_gradient(x):
    return -1 / (1 + np.exp(x))  # forgot to divide by len(x)
"""


def pytest_in(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), str(folder)])
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tinygrad_tx.testing.plugin", "-q", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_what_given_gradients_made_is_selected_by_the_marker(tmp_path: Path) -> None:
    (tmp_path / "test_good.py").write_text(GOOD + "\ndef test_plain():\n    pass\n")
    only = ("--gradcheck-examples", "2", "-m")
    done = [pytest_in(tmp_path, *only, name) for name in ("gradcheck", "not gradcheck")]
    assert "1 passed, 1 deselected" in done[0].stdout
    assert "1 functions" in done[0].stdout
    assert "1 passed, 1 deselected" in done[1].stdout
    assert "1 functions" not in done[1].stdout


def test_summary_and_reports(tmp_path: Path) -> None:
    (tmp_path / "test_good.py").write_text(GOOD)
    done = pytest_in(
        tmp_path,
        *("--gradcheck-examples", "7", "--gradcheck-seed", "3"),
        *("--gradcheck-json", "out.json", "--gradcheck-html", "out.html"),
    )
    assert done.returncode == 0, done.stdout
    assert "gradients: 1 functions, 21 samples, 0 at kinks" in done.stdout
    (report,) = json.loads((tmp_path / "out.json").read_text())
    assert report["name"] == "test_good"
    assert report["samples"] == 21
    assert "<table>" in (tmp_path / "out.html").read_text()


def test_a_planted_bug_is_found_and_left_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "losses.py").write_text(LOSSES)
    (tmp_path / "test_losses.py").write_text(PLANTED)
    assert len(PLANTED.strip().splitlines()) <= 10
    done = pytest_in(tmp_path)
    assert done.returncode == 1
    assert "ratio 4" in done.stdout
    script = tmp_path / ".gradcheck" / "log_loss.py"
    assert f"see {script.relative_to(tmp_path)}" in done.stdout
    again = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ratio 4" in again.stderr


def test_inputs_that_say_nothing_fail_the_test(tmp_path: Path) -> None:
    at_kinks = GOOD.replace('kind="smooth"', 'kind="kinks"').replace("tx.tanh(x) ** 2", "abs(x)")
    (tmp_path / "test_kinks.py").write_text(at_kinks)
    done = pytest_in(tmp_path)
    assert done.returncode == 1
    assert "samples were at kinks" in done.stdout


def test_profiles_set_the_number_of_examples(tmp_path: Path) -> None:
    (tmp_path / "test_good.py").write_text(GOOD)
    done = pytest_in(tmp_path, "--gradcheck-profile", "quick")
    assert "1 functions, 30 samples" in done.stdout, done.stdout


@pytest.mark.parametrize("examples", ["0", "many"])
def test_bad_options(tmp_path: Path, examples: str) -> None:
    (tmp_path / "test_good.py").write_text(GOOD)
    done = pytest_in(tmp_path, "--gradcheck-examples", examples)
    assert done.returncode == 4
