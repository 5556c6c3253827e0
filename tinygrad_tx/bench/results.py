"""Results as a table, JSON, CSV and plots."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from importlib import metadata
from typing import Any

import numpy as np

from tinygrad_tx import __version__
from tinygrad_tx.bench.learning import Learning
from tinygrad_tx.bench.race import Result
from tinygrad_tx.bench.workloads import flops_of_step
from tinygrad_tx.ops.kernels.simd import LANES
from tinygrad_tx.roofline import Roofline, cpu_name

__all__ = ["against_first", "as_csv", "as_json", "line", "versions"]


def versions(threads: int) -> dict[str, Any]:
    """What a figure is worthless without."""
    found: dict[str, Any] = {
        "threads": threads,
        "processors": os.cpu_count() or 1,
        "machine": f"{cpu_name()}, {32 * LANES} bits in a vector",
        "tinygrad-tx": __version__,
    }
    for package in ("numpy", "numba", "llvmlite", "torch", "jax", "transformer-lens", "torchlens"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def line(result: Result, machine: Roofline) -> str:
    """One line for a workload: ours, each peer with its ratio, and the share of the roofline."""
    if "ours" not in result.turns:
        return f"{result.work.name}: failed: {result.failed.get('ours', '')}"
    own = result.turns["ours"]
    spread = (max(own) - min(own)) / result.median("ours")
    parts = [
        f"{result.work.name:26} ours {_ms(result.median('ours'))} / {_ms(result.best('ours'))} ms"
        f" (spread {100 * spread:.0f} %)"
    ]
    for peer in result.peers:
        best = result.best(peer) / result.best("ours")
        parts.append(
            f"{peer} {_ms(result.median(peer))} / {_ms(result.best(peer))}: "
            f"{result.ratio(peer):.2f}x, best {best:.2f}x"
        )
    if result.work.kind == "step":
        least = flops_of_step(result.work.sizes) / machine.flops
        parts.append(f"{100 * least / result.median('ours'):.0f} % of the roofline")
    if result.work.kind in ("step", "prompt"):
        parts += [f"{p} grew {g / 1e6:.0f} MB" for p, g in result.grown.items()]
    parts += [f"{name} failed ({why})" for name, why in result.failed.items()]
    return "; ".join(parts)


def against_first(results: Sequence[Result]) -> list[str]:
    """For each contender how many times longer each workload takes than the first of them: the
    median over the rounds of ratios within a round, then best by best."""
    first, lines = results[0], []
    for name, base in first.turns.items():
        parts = []
        for result in results[1:]:
            if name in result.turns:
                ratio = np.median(np.divide(result.turns[name], base))
                best = result.best(name) / first.best(name)
                parts.append(f"{result.work.option} {ratio:.2f}x, best {best:.2f}x")
        lines.append(f"{name}, against {first.work.option} captured: {'; '.join(parts)}")
    return lines


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3g}"


def as_json(
    results: Sequence[Result],
    machine: Roofline,
    threads: int,
    learning: Learning | None = None,
    load: float = 0.0,
) -> str:
    """All that was measured. load: what others kept the machine busy with when it began."""
    rows = [
        {
            "workload": r.work.as_json(),
            "turns_seconds": r.turns,
            "first_seconds": r.first,
            "grown_bytes": r.grown,
            "planned_bytes": r.planned,
            "failed": r.failed,
            "ratios_of_medians": {p: r.ratio(p) for p in r.peers},
        }
        for r in results
    ]
    roof = {"flops": machine.flops, "bytes_a_second": machine.bytes, "threads": machine.threads}
    found: dict[str, Any] = {"versions": versions(threads), "roofline": roof, "results": rows}
    found |= {"on": date.today().isoformat(), "load": load}
    if learning is not None:
        found["learning"] = asdict(learning)
    return json.dumps(found, indent=1)


def as_csv(results: Sequence[Result]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(("workload", "contender", "median_ms", "best_ms", "ratio_to_ours"))
    for r in results:
        for name in r.turns:
            ratio = r.median(name) / r.median("ours") if "ours" in r.turns else float("nan")
            row = (r.median(name) * 1e3, r.best(name) * 1e3, ratio)
            writer.writerow((r.work.name, name, *(f"{v:.5g}" for v in row)))
    return out.getvalue()
