"""Pictures of a Program: its steps and what flows between them, and its memory over time."""

from __future__ import annotations

import io
from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tinygrad_tx.compiler.program import KernelStep, Program, Step
from tinygrad_tx.graph.lowering import View
from tinygrad_tx.viz.names import components
from tinygrad_tx.viz.picture import Arrow, Box, Picture, Role, quantity
from tinygrad_tx.viz.theme import THEMES

__all__ = ["memory_picture", "program_picture"]


def program_picture(program: Program) -> tuple[Picture, dict[str, list[int]]]:
    """Steps in the frames of their modules; arrows from who writes a buffer to who reads it.

    Also the numbers of the steps behind each box.
    """
    boxes: dict[str, Box] = {}
    arrows: dict[Arrow, None] = {}
    writers: dict[int, str] = {}
    steps: dict[str, list[int]] = {}
    for number, step in enumerate(program.steps):
        box = _box(number, step, is_commit=number >= program.commit)
        boxes[box.key], steps[box.key] = box, [number]
        views = _views(step)
        for buffer in dict.fromkeys(v.buffer for v in views):
            source = writers.get(buffer)
            if source is not None and source != box.key:
                arrows[Arrow(source, box.key)] = None
            if buffer in _written(step):
                writers[buffer] = box.key
    note = f"{len(program.steps)} steps, arena of {quantity(program.arena_bytes, 'B')}"
    return Picture("program", boxes, list(arrows), note=note), steps


def _views(step: Step) -> list[View]:
    if isinstance(step, KernelStep):
        return [o for o in step.operands if isinstance(o, View)]
    return [*step.reads, *step.writes]


def _written(step: Step) -> frozenset[int]:
    if isinstance(step, KernelStep):
        return step.writes
    return frozenset(v.buffer for v in step.writes)


def _box(number: int, step: Step, is_commit: bool) -> Box:
    name, _, path = step.label.partition(" ")
    kernel = step.kernel.name if isinstance(step, KernelStep) else "numpy"
    shares = step.shares if isinstance(step, KernelStep) else 1
    facts = [("step", str(number)), ("kernel", kernel), ("shares", str(shares))]
    facts += [("work", quantity(step.flops, "FLOP"))] if step.flops else []
    facts += [("changes", "state")] if is_commit else []
    shown = kernel if not kernel.startswith("fused_") else name
    line = (f"× {shares} shares",) if shares > 1 else ()
    return Box(f"step {number}", shown, _role(name), components(path), line, tuple(facts))


def _role(name: str) -> Role:
    stem = name.removesuffix("_gradient").split("+")[0]
    found: dict[str, Role] = {
        "attention": "attention",
        "layer_norm": "norm",
        "rms_norm": "norm",
        "matmul": "product",
        "take": "embedding",
        "scatter_add": "embedding",
    }
    return found.get(stem, "other")


def memory_picture(program: Program, theme: str, format: str) -> bytes:
    """Each buffer of the arena as a rectangle: from its first to its last step, at its place."""
    look = THEMES[theme]
    figure = Figure(figsize=(9, 5), layout="constrained", facecolor=look.paper)
    axes = figure.subplots()
    axes.set_facecolor(look.paper)
    makers = _makers(program.steps)
    for number, home in enumerate(program.memory):
        if home.kind != "arena" or home.first < 0:
            continue
        corner, width = (home.first, home.offset / 1e6), home.last - home.first + 1
        fill = look.fills[_role(makers.get(number, ""))]
        axes.add_patch(
            Rectangle(corner, width, home.nbytes / 1e6, facecolor=fill, edgecolor=look.line, lw=0.4)
        )
    axes.axvline(program.commit, color=look.line, linewidth=0.8, linestyle="--")
    axes.set(xlim=(0, max(1, len(program.steps))), ylim=(0, program.arena_bytes / 1e6))
    axes.set_xlabel("step; behind the dashed line state changes", color=look.ink)
    axes.set_ylabel("MB of the arena", color=look.ink)
    axes.tick_params(colors=look.ink)
    out = io.BytesIO()
    metadata = {"Date": None} if format == "svg" else {}
    figure.savefig(out, format=format, dpi=130, metadata=metadata)
    return out.getvalue()


def _makers(steps: Sequence[Step]) -> dict[int, str]:
    """The operator that first writes each buffer."""
    found: dict[int, str] = {}
    for step in steps:
        for buffer in _written(step):
            found.setdefault(buffer, step.label.split(" ")[0])
    return found
