"""Plots of results: ratios to peers, curves of growth, and operators under the roofline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tinygrad_tx.bench.race import Result
from tinygrad_tx.bench.workloads import flops_of_step, parameters_of
from tinygrad_tx.plots import picture_bytes
from tinygrad_tx.profile import Profile

__all__ = ["growth_curves", "ratio_bars", "roofline_points"]

OURS, THEIRS, GREY = "#1f5f99", "#c4572a", "#444444"
PEERS = (THEIRS, "#7a7a7a", "#b08a2e", "#5b8c5a")


def ratio_bars(results: Sequence[Result], format: str) -> bytes:
    """Bars of the ratios of medians; right of 1 we are faster."""
    bars = [
        (f"{r.work.name} / {p}", r.ratio(p)) for r in results if "ours" in r.turns for p in r.peers
    ]
    figure = Figure(figsize=(8, 1 + 0.24 * len(bars)), layout="constrained")
    axes = figure.subplots()
    names, ratios = [b[0] for b in bars][::-1], [b[1] for b in bars][::-1]
    axes.barh(names, ratios, color=[OURS if r >= 1 else THEIRS for r in ratios])
    axes.axvline(1.0, color=GREY, linewidth=1)
    axes.set_xlabel("peer's time / our time (medians)")
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    return picture_bytes(figure, format)


def growth_curves(results: Sequence[Result], format: str) -> bytes:
    """Rate against parameters, time and memory against context, tokens a second against batch."""
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    (rate, time), (memory, tokens) = figure.subplots(2, 2)
    by_parameters = _of(results, "parameters")
    _curve(rate, by_parameters, lambda w: parameters_of(w.sizes) / 1e6, _gigaflops)
    _labels(rate, "million parameters", "GFLOPS of the whole step")
    by_context = _of(results, "context")
    _curve(time, by_context, lambda w: w.sizes[3], lambda r, name: r.median(name) * 1e3)
    _labels(time, "context (batch 1)", "ms a step")
    _curve(memory, by_context, lambda w: w.sizes[3], lambda r, name: r.grown[name] / 1e6)
    planned = [r for r in by_context if r.planned]
    sizes = [r.work.sizes[3] for r in planned]
    memory.plot(sizes, [r.planned / 1e6 for r in planned], "--", color=GREY, label="our plan")
    _labels(memory, "context (batch 1)", "MB a step adds")
    by_batch = _of(results, "batch")
    _curve(tokens, by_batch, lambda w: w.sizes[4], _tokens_a_second)
    _labels(tokens, "batch", "tokens a second")
    return picture_bytes(figure, format)


def _of(results: Sequence[Result], option: str) -> list[Result]:
    return [r for r in results if r.work.option == option and "ours" in r.turns]


def _gigaflops(result: Result, name: str) -> float:
    return flops_of_step(result.work.sizes) / result.median(name) / 1e9


def _tokens_a_second(result: Result, name: str) -> float:
    return result.work.sizes[3] * result.work.sizes[4] / result.median(name)


def _curve(
    axes: Any,
    results: Sequence[Result],
    x: Callable[[Any], float],
    y: Callable[[Result, str], float],
) -> None:
    """One line for each contender."""
    names = dict.fromkeys(n for r in results for n in r.turns)
    colours = dict(zip([n for n in names if n != "ours"], PEERS, strict=False)) | {"ours": OURS}
    for name in names:
        known = [r for r in results if name in r.turns]
        xs, ys = [x(r.work) for r in known], [y(r, name) for r in known]
        axes.plot(xs, ys, label=name, color=colours[name], marker="o" if name == "ours" else "s")


def _labels(axes: Any, x: str, y: str) -> None:
    axes.set(xlabel=x, ylabel=y, xscale="log", yscale="log")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.lines:
        axes.legend(frameon=False)


def roofline_points(profile: Profile, format: str) -> bytes:
    """Every operator of a profiled step: FLOPs a byte against FLOPs a second, under the roof."""
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots()
    machine = profile.machine
    x = np.geomspace(0.05, 1000, 200)
    axes.plot(x, np.minimum(machine.flops, x * machine.bytes) / 1e9, color=GREY)
    total = sum(r.seconds for r in profile.rows)
    for name, _, seconds, flops, moved in profile.groups(lambda r: r.label.split(" ")[0]):
        if flops and moved:
            size = 30 + 900 * seconds / total
            at = flops / moved, flops / seconds / 1e9
            axes.scatter(*at, s=size, color=OURS, alpha=0.55, linewidths=0)
            if seconds > 0.01 * total:
                axes.annotate(f"{name} ({100 * seconds / total:.0f} %)", at, fontsize=7)
    axes.set(xlabel="FLOPs a byte", ylabel="GFLOPS", xscale="log", yscale="log")
    title = "operators of a training step; area: share of its time; above the roof: cached"
    axes.set_title(title, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    return picture_bytes(figure, format)
