"""The picture of a Program: its steps and what flows between them."""

from __future__ import annotations

from tinygrad_tx.compiler.program import KernelStep, Program, Step
from tinygrad_tx.graph.lowering import View
from tinygrad_tx.viz.names import components
from tinygrad_tx.viz.picture import Arrow, Box, Picture, Role, quantity

__all__ = ["program_picture", "role_of", "written_by"]


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
            if buffer in written_by(step):
                writers[buffer] = box.key
    note = f"{len(program.steps)} steps, arena of {quantity(program.arena_bytes, 'B')}"
    return Picture("program", boxes, list(arrows), note=note), steps


def _views(step: Step) -> list[View]:
    if isinstance(step, KernelStep):
        return [o for o in step.operands if isinstance(o, View)]
    return [*step.reads, *step.writes]


def written_by(step: Step) -> frozenset[int]:
    """The numbers of its buffers."""
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
    return Box(f"step {number}", shown, role_of(name), components(path), line, tuple(facts))


def role_of(name: str) -> Role:
    """What a step with this label counts as."""
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
