"""Pictures of a plan: memory of each stage in stacked bars, and the pipeline's schedule in time."""

from __future__ import annotations

from dataclasses import asdict

from matplotlib.figure import Figure

from tinygrad_tx.plots import picture_bytes
from tinygrad_tx.sizing.plan import GIB, SizingPlan
from tinygrad_tx.sizing.schedule import schedule

__all__ = ["memory_bars", "timeline"]

COLOURS = ("#1f5f99", "#5b8c5a", "#b08a2e", "#c4572a", "#7a7a7a")
FORWARD, BACKWARD = (
    ("#1f5f99", "#7fa8cc", "#0d3a63", "#a9c6df"),
    (
        "#c4572a",
        "#e0a184",
        "#8a3a17",
        "#efcbb9",
    ),
)
MOST_DRAWN = 16


def memory_bars(plan: SizingPlan, format: str) -> bytes:
    """GiB of a device for each stage of the pipeline, and the line of what it has."""
    figure = Figure(figsize=(max(4.5, 2.5 + 0.28 * len(plan.stages)), 4), layout="constrained")
    axes = figure.subplots()
    below = [plan.machine.reserved / GIB] * len(plan.stages)
    places = range(len(plan.stages))
    axes.bar(places, below, color="#dddddd", label="reserved")
    for name, colour in zip(asdict(plan.stages[0]), COLOURS, strict=True):
        sizes = [getattr(m, name) / GIB for m in plan.stages]
        axes.bar(places, sizes, bottom=below, color=colour, label=name)
        below = [b + s for b, s in zip(below, sizes, strict=True)]
    memory = plan.machine.memory / GIB
    axes.axhline(memory, color="black", linewidth=1, linestyle="--")
    axes.set_xlabel("stage of the pipeline")
    axes.set_ylabel("GiB of a device")
    axes.set_title(f"{plan.work.name}: {plan.verdict()}", fontsize=9)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    axes.spines[["top", "right"]].set_visible(False)
    return picture_bytes(figure, format)


def timeline(plan: SizingPlan, format: str) -> bytes:
    """What each device does and when; what is white is bubble.

    A long pipeline is drawn by fewer devices and microbatches; the title says so, and gives the
    bubble of the whole.
    """
    layout, time = plan.layout, plan.time
    devices = min(layout.pipeline, MOST_DRAWN)
    rounds = max(1, min(layout.microbatches, 2 * devices))
    if layout.chunks > 1:
        rounds = -(-rounds // devices) * devices
    # Backward is what is computed backward and anew: 1 : 2, 1 : 3 with full recomputation.
    backward = 2.0 + (3 * time.recompute / time.compute if time.compute else 0.0)
    passes = schedule(devices, rounds, layout.chunks, 1.0, backward)
    figure = Figure(figsize=(9, 1.2 + 0.22 * devices), layout="constrained")
    axes = figure.subplots()
    for p in passes:
        colours = FORWARD if p.is_forward else BACKWARD
        axes.barh(
            p.device,
            p.end - p.start,
            left=p.start,
            color=colours[p.chunk % len(colours)],
            edgecolor="white",
            linewidth=0.3,
        )
    axes.invert_yaxis()
    axes.set_yticks(range(devices))
    axes.set_xlabel("time (forward passes of a chunk); blue forward, orange backward")
    axes.set_ylabel("device")
    drawn = (
        f"{devices} of {layout.pipeline} devices, {rounds} of {layout.microbatches} microbatches"
    )
    axes.set_title(f"{drawn}; bubble of the whole {time.bubble / time.total:.1%}", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    return picture_bytes(figure, format)
