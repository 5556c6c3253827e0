"""What a plan says of memory is what a process takes."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Kernels are compiled and state is touched by the first call; a second Executable then takes its
# arena and its results anew. The peak of the process is reset in between.
MEASURE = """
import gc, sys
import tinygrad_tx as tx
from tinygrad_tx.bench.contender import _restart_peak, _status
from tinygrad_tx.bench.ours import build
from tinygrad_tx.bench.workloads import Workload
from tinygrad_tx.runtime.execute import Executable

run = build(Workload("step", "step", tuple(map(int, sys.argv[1:]))), 2)
run()
program, arrays = run.step.bound(*run.batch)
gc.collect()
before = _restart_peak()
Executable(program).run(arrays)
print(_status("VmHWM") - before, run.planned_bytes)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "sizes", [(6, 6, 384, 256, 4, 65), (2, 2, 128, 1024, 4, 65)], ids=["wide", "long"]
)
def test_the_planned_peak_is_the_measured_one(sizes: tuple[int, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, sizes)],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    taken, planned = map(int, done.stdout.split())
    assert planned > 50_000_000
    assert taken == pytest.approx(planned, rel=0.05)
