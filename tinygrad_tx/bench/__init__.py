"""Benchmarks against PyTorch, JAX, OpenBLAS and lenses, interleaved in one run."""

from tinygrad_tx.bench.race import Result, installed, race
from tinygrad_tx.bench.workloads import CONFIGS, SUITES, Workload, suite

__all__ = ["CONFIGS", "SUITES", "Result", "Workload", "installed", "race", "suite"]
