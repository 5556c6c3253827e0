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

__all__ = ["Result", "installed", "race", "surroundings"]

PAUSE_SECONDS = 0.05  # for the threads of the one before to stop spinning
TURN_SECONDS = 0.15
MODULES = {
    "torch": "torch",
    "torch compiled": "torch",
    "jax": "jax",
    "numpy": "numpy",
    "transformer lens": "transformer_lens",
    "torchlens": "torchlens",
}


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
    together: bool = False,
) -> list[Result]:
    """Times every workload against those of `peers` that know it.

    together: all workloads in turns as well, for figures that are divided by each other.
    """
    if rounds < 1:
        raise ValueError(f"bench: rounds is {rounds}, not at least 1.")
    results: list[Result] = []
    for group in [works] if together else [[work] for work in works]:
        found = _in_turns(group, peers, threads, rounds)
        results += found
        if on_result is not None:
            for result in found:
                on_result(result)
    return results


def _in_turns(
    works: Sequence[Workload], peers: Sequence[str], threads: int, rounds: int
) -> list[Result]:
    results = [Result(work) for work in works]
    running: list[tuple[Result, _Contender]] = []
    try:
        for result in results:
            for name in ("ours", *(p for p in result.work.peers if p in peers)):
                contender = _started(name, result, threads)
                if contender is not None:
                    running.append((result, contender))
        for _ in range(rounds):
            for result, contender in running:
                time.sleep(PAUSE_SECONDS)
                taken = contender.ask({"run": contender.times})["times"]
                result.turns[contender.name].append(float(np.median(taken)))
    finally:
        for _, contender in running:
            contender.close()
    return results


def _started(name: str, result: Result, threads: int) -> _Contender | None:
    """A contender that has built the work, and how it did; None if it cannot."""
    contender = _Contender(name, threads)
    try:
        built = contender.ask({"build": result.work.as_json()})
        once = contender.ask({"run": 3})["times"]
    except ContenderError as error:
        result.failed[name] = str(error)
        contender.close()
        return None
    contender.times = max(1, int(TURN_SECONDS / max(min(once), 1e-6)))
    result.first[name], result.grown[name] = built["first"], built["grown"]
    result.turns[name] = []
    result.planned = max(result.planned, built["planned"])
    return contender


def surroundings(threads: int) -> dict[str, str]:
    """The environment of a process whose libraries use so many threads."""
    caps = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    flags = f"--xla_cpu_multi_thread_eigen=true intra_op_parallelism_threads={threads}"
    return {**os.environ, **dict.fromkeys(caps, str(threads)), "XLA_FLAGS": flags}


class _Contender:
    """A process that is asked and answers."""

    def __init__(self, name: str, threads: int) -> None:
        self.name = name
        self.times = 1
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tinygrad_tx.bench.contender", name, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=surroundings(threads),
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
