"""race: contenders in turns, round after round, so that a noisy machine is noisy for all alike."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_tx.bench.workloads import Workload
from tinygrad_tx.errors import TinygradTxError

__all__ = ["Result", "installed", "race"]

PAUSE_SECONDS = 0.05  # for the threads of the one before to stop spinning
TURN_SECONDS = 0.15
MODULES = {"torch": "torch", "torch compiled": "torch", "jax": "jax", "numpy": "numpy"}


class ContenderError(TinygradTxError, RuntimeError):
    """A contender that cannot do a workload."""


@dataclass
class Result:
    """One workload: the time of each turn by contender, in seconds; its median over that turn."""

    work: Workload
    turns: dict[str, list[float]] = field(default_factory=dict)
    first: dict[str, float] = field(default_factory=dict)
    grown: dict[str, int] = field(default_factory=dict)
    planned: int = 0
    """Bytes that our plan says a step takes beside its state, arguments and results."""
    failed: dict[str, str] = field(default_factory=dict)

    def median(self, name: str) -> float:
        return float(np.median(self.turns[name]))

    def best(self, name: str) -> float:
        return min(self.turns[name])

    def ratio(self, peer: str) -> float:
        """How many times faster we are: the ratio of medians."""
        return self.median(peer) / self.median("ours")

    @property
    def peers(self) -> list[str]:
        return [name for name in self.turns if name != "ours"]


def installed() -> list[str]:
    """Peers that can run here."""
    return [name for name, module in MODULES.items() if importlib.util.find_spec(module)]


def race(
    works: Sequence[Workload],
    peers: Sequence[str],
    threads: int,
    rounds: int = 7,
    on_result: Callable[[Result], None] | None = None,
) -> list[Result]:
    """Times every workload against those of `peers` that know it."""
    if rounds < 1:
        raise ValueError(f"bench: rounds is {rounds}, not at least 1.")
    results = []
    for work in works:
        result = _one(work, ["ours", *(p for p in work.peers if p in peers)], threads, rounds)
        results.append(result)
        if on_result is not None:
            on_result(result)
    return results


def _one(work: Workload, names: list[str], threads: int, rounds: int) -> Result:
    result = Result(work)
    running: dict[str, _Contender] = {}
    try:
        for name in names:
            contender = _Contender(name, threads)
            try:
                built = contender.ask({"build": work.as_json()})
                once = contender.ask({"run": 3})["times"]
            except ContenderError as error:
                result.failed[name] = str(error)
                contender.close()
                continue
            running[name] = contender
            contender.times = max(1, int(TURN_SECONDS / max(min(once), 1e-6)))
            result.first[name], result.grown[name] = built["first"], built["grown"]
            result.turns[name] = []
            result.planned = max(result.planned, built["planned"])
        for _ in range(rounds):
            for name, contender in running.items():
                time.sleep(PAUSE_SECONDS)
                taken = contender.ask({"run": contender.times})["times"]
                result.turns[name].append(float(np.median(taken)))
    finally:
        for contender in running.values():
            contender.close()
    return result


class _Contender:
    """A process that is asked and answers."""

    def __init__(self, name: str, threads: int) -> None:
        self.name = name
        self.times = 1
        caps = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
        flags = f"--xla_cpu_multi_thread_eigen=true intra_op_parallelism_threads={threads}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tinygrad_tx.bench.contender", name, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **dict.fromkeys(caps, str(threads)), "XLA_FLAGS": flags},
        )

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            line = ""
        if not line:
            raise ContenderError(f"{self.name}: its process ended")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ContenderError(f"{self.name}: {answer['error']}")
        return answer

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
