"""profile: where the time of a captured function goes, row by row of its tape.

Each row runs alone and is timed many times; what a row costs by itself is taken off. State is
copied first, so that a profiled training step trains nothing.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_tx.compiler.program import KernelStep
from tinygrad_tx.files import write_whole
from tinygrad_tx.jit import Jitted
from tinygrad_tx.ops.kernels.probe import idle
from tinygrad_tx.roofline import Roofline, roofline, timed_rows
from tinygrad_tx.runtime.execute import Executable

__all__ = ["Profile", "Row", "profile"]


@dataclass(frozen=True)
class Row:
    """One step. seconds: the median. flops and bytes: of its node, on the node's last step."""

    kernel: str
    label: str
    shares: int
    seconds: float
    flops: int
    bytes: int


@dataclass(frozen=True, repr=False)
class Profile:
    """All rows in order, the whole call beside them, and what the machine could do."""

    rows: tuple[Row, ...]
    seconds: float
    machine: Roofline

    def __repr__(self) -> str:
        return self.table()

    def groups(self, key: Callable[[Row], str]) -> list[tuple[str, int, float, int, int]]:
        """(name, rows, seconds, flops, bytes), the slowest first."""
        found: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows:
            found[key(row)].append(row)
        sums = [
            (
                name,
                len(r),
                sum(x.seconds for x in r),
                sum(x.flops for x in r),
                sum(x.bytes for x in r),
            )
            for name, r in found.items()
        ]
        return sorted(sums, key=lambda s: -s[2])

    def table(self, by: str = "operator", most: int = 20) -> str:
        """Time, rates and share of the roofline, by "operator", "kernel" or "module"."""
        keys: dict[str, Callable[[Row], str]] = {
            "operator": lambda r: r.label.split(" ")[0],
            "kernel": lambda r: r.kernel,
            "module": lambda r: r.label.partition(" ")[2] or "(top)",
        }
        if by not in keys:
            raise ValueError(f"profile: by is {by!r}, not one of {', '.join(keys)}.")
        total = sum(r.seconds for r in self.rows)
        lines = [
            f"{self.seconds * 1e3:.3f} ms a call, {total * 1e3:.3f} ms in {len(self.rows)} rows; "
            f"{self.machine.threads} threads, at best {self.machine.flops / 1e9:.0f} GFLOPS and "
            f"{self.machine.bytes / 1e9:.0f} GB/s",
            f"{'ms':>9} {'%':>5} {'rows':>5} {'GFLOPS':>7} {'GB/s':>6} {'roofline':>8}  {by}",
        ]
        for name, rows, seconds, flops, moved in self.groups(keys[by])[:most]:
            least = self.machine.seconds(flops, moved)
            lines.append(
                f"{seconds * 1e3:9.3f} {100 * seconds / total:5.1f} {rows:5d} "
                f"{flops / seconds / 1e9:7.1f} {moved / seconds / 1e9:6.1f} "
                f"{100 * least / seconds:7.0f}%  {name}"
            )
        return "\n".join(lines)

    def trace(self) -> dict[str, Any]:
        """Rows one after another, for the viewers of Chrome and Perfetto."""
        events, at = [], 0.0
        for row in self.rows:
            events.append(
                {
                    "name": row.label or row.kernel,
                    "cat": row.kernel,
                    "ph": "X",
                    "ts": at * 1e6,
                    "dur": row.seconds * 1e6,
                    "pid": 1,
                    "tid": 1,
                    "args": asdict(row),
                }
            )
            at += row.seconds
        return {"traceEvents": events, "displayTimeUnit": "ms"}

    def save(self, path: str | Path) -> None:
        """Writes the trace as JSON."""
        write_whole(Path(path), json.dumps(self.trace()))


def profile(step: Jitted[..., Any], *args: Any, rounds: int = 20, **kwargs: Any) -> Profile:
    """Times every row of a captured function on these arguments; nothing it assigns is kept.

    Errors: ValueError for a function that is not under tx.jit.
    """
    if not isinstance(step, Jitted):
        raise ValueError("profile: needs a function under tx.jit.")
    program, arrays = step.bound(*args, **kwargs)
    runner = Executable(program)
    runner.run(arrays)  # compiles, and fills every buffer with real values
    whole = []
    for _ in range(rounds):
        started = time.perf_counter()
        runner.run(arrays)
        whole.append(time.perf_counter() - started)
    empty = {shares: timed_rows(idle, shares, [0], 50) for shares in (1, 2)}
    rows = []
    for number, step_ in enumerate(program.steps):
        taken = float(np.median([runner.run_step(number) for _ in range(rounds)]))
        if isinstance(step_, KernelStep):
            taken = max(taken - empty[min(step_.shares, 2)], 1e-9)
            rows.append(
                Row(step_.kernel.name, step_.label, step_.shares, taken, step_.flops, step_.bytes)
            )
        else:
            rows.append(Row("numpy", step_.label, 1, taken, step_.flops, step_.bytes))
    return Profile(tuple(rows), float(np.median(whole)), roofline())
