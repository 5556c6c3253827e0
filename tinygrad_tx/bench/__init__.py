"""Benchmarks against PyTorch, JAX, OpenBLAS and lenses, interleaved in one run.

Read workloads.py (what is raced) and race.py (how: contender.py is one process of it); ours.py,
peers.py and lenses.py do the work, results.py and plots.py tell of it.
"""

from tinygrad_tx.bench.race import Result, installed, race
from tinygrad_tx.bench.workloads import CONFIGS, SUITES, Workload, suite

__all__ = ["CONFIGS", "SUITES", "Result", "Workload", "installed", "race", "suite"]
