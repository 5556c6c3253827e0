"""However long a run is, what it holds is bounded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from tinygrad_tx.train import RunFolder
from tinygrad_tx.train.metrics import Metrics


@given(st.integers(1, 3000), st.integers(1, 50), st.integers(1, 400))
@settings(deadline=None, max_examples=50)
def test_rows_are_bounded_evenly_spaced_and_keep_every_validation(
    steps: int, most: int, validate_every: int
) -> None:
    rows = Metrics(most)
    for step in range(1, steps + 1):
        held_out = {"validation": 1.0} if step % validate_every == 0 else {}
        rows.note({"step": step, **held_out})
    thin = [r["step"] for r in rows if "validation" not in r]
    assert len(thin) <= most
    assert [r["step"] for r in rows if "validation" in r] == list(
        range(validate_every, steps + 1, validate_every)
    )
    expected = range(rows.every, steps + 1, rows.every)
    assert thin == [s for s in expected if s % validate_every]
    assert [r["step"] for r in rows] == sorted(r["step"] for r in rows)


@given(
    rows=st.integers(0, 30),
    step=st.integers(0, 31),
    tail=st.sampled_from(["", '{"step": 99', "\0\xff", "[3]\n"]),
)
@settings(deadline=None, max_examples=60)
def test_the_file_is_cut_behind_a_step_and_what_is_no_row_is_passed_over(
    rows: int, step: int, tail: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = RunFolder(tmp_path_factory.mktemp("run"))
    lines = [f'{{"step": {i}, "loss": 1.0}}\n' for i in range(1, rows + 1)]
    if lines:
        lines.insert(1, '{"step": "damaged", "lo\n')
    run.metrics.write_text("".join(lines) + tail, encoding="latin-1")
    assert [r["step"] for r in run.metric_rows()] == list(range(1, rows + 1))
    run.cut_metrics(step)
    with run.metrics.open("a") as file:
        file.write('{"step": 1000}\n')
    kept = [*range(1, min(rows, step) + 1), 1000]
    assert [r["step"] for r in run.metric_rows()] == kept


@pytest.mark.slow
def test_memory_stays_as_it_was_through_a_long_run(tmp_path: Path) -> None:
    """Scaled down; tests/train/soak.py runs a million steps. In a process of its own: what other
    tests have left is not counted."""
    script = Path(__file__).with_name("soak.py")
    code = f"""
import importlib.util, pathlib
spec = importlib.util.spec_from_file_location("soak", {str(script)!r})
soak = importlib.util.module_from_spec(spec)
spec.loader.exec_module(soak)
sizes = soak.soak(pathlib.Path({str(tmp_path)!r}), 6000, most_rows=300)
assert sizes[-1] - sizes[2] < 1_000_000, sizes
"""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
