"""Plan: memory and step time of one layout on one machine, as data and as a table; and the best."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from tinygrad_tx.errors import ShapeError, explain
from tinygrad_tx.shapes import divisors
from tinygrad_tx.sizing.duration import StepTime, flops_of_step, step_time
from tinygrad_tx.sizing.layout import RECOMPUTE, Layout
from tinygrad_tx.sizing.machine import Machine
from tinygrad_tx.sizing.memory import Memory, memory_of_stage
from tinygrad_tx.sizing.work import Work

__all__ = ["SizingPlan", "plan", "search", "table_of"]

GIB = 2**30
MICROBATCHES = (1, 2, 4, 8, 16)


@dataclass(frozen=True)
class SizingPlan:
    """What a layout needs. stages: memory of a device for each stage of the pipeline."""

    work: Work
    machine: Machine
    layout: Layout
    stages: tuple[Memory, ...]
    time: StepTime

    @property
    def fullest(self) -> int:
        return max(range(len(self.stages)), key=lambda s: self.stages[s].total)

    @property
    def over(self) -> float:
        """Bytes that the fullest device lacks; negative: that are left."""
        held = self.stages[self.fullest].total + self.machine.reserved
        return held - self.machine.memory

    @property
    def fits(self) -> bool:
        return self.over <= 0

    def flops_per_second(self, with_recompute: bool = False) -> float:
        """Of one device, by the model's own operations or by all that are run."""
        flops = flops_of_step(self.work, self.layout, with_recompute)
        return flops / self.time.total / self.layout.gpus

    @property
    def model_utilization(self) -> float:
        """MFU: model FLOPs against the peak (Chowdhery et al. 2022, appendix B)."""
        return self.flops_per_second() / self.machine.flops

    @property
    def hardware_utilization(self) -> float:
        """HFU: with recomputation."""
        return self.flops_per_second(True) / self.machine.flops

    @property
    def tokens_per_second(self) -> float:
        return self.layout.batch * self.work.context / self.time.total

    def as_json(self) -> dict[str, Any]:
        """Everything, in bytes and seconds."""
        return {
            "model": {"parameters": self.work.parameters, **asdict(self.work)},
            "machine": asdict(self.machine),
            "layout": asdict(self.layout),
            "memory": [{**asdict(m), "total": m.total} for m in self.stages],
            "fits": self.fits,
            "over_bytes": self.over,
            "step": {**asdict(self.time), "total": self.time.total},
            "model_flops_per_second_per_gpu": self.flops_per_second(),
            "hardware_flops_per_second_per_gpu": self.flops_per_second(True),
            "mfu": self.model_utilization,
            "hfu": self.hardware_utilization,
            "tokens_per_second": self.tokens_per_second,
        }

    def text(self) -> str:
        """Two tables and a verdict."""
        work, machine, layout = self.work, self.machine, self.layout
        lines = [
            f"{work.name}: {work.parameters / 1e9:.1f} billion parameters, {work.layers} layers",
            f"{machine.nodes} x {machine.gpus_per_node} {machine.name}: {layout.text()}, "
            f"batch {layout.batch}, {layout.microbatches} microbatches",
            "",
        ]
        shown = sorted({0, self.fullest, len(self.stages) - 1})
        lines.append(f"{'GiB a device':<16}" + "".join(f"{f'stage {s}':>12}" for s in shown))
        for name in (*asdict(self.stages[0]), "total"):
            cells = (f"{getattr(self.stages[s], name) / GIB:12.1f}" for s in shown)
            lines.append(f"  {name:<14}" + "".join(cells))
        lines += ["", f"{'seconds a step':<16}"]
        for name, seconds in (*asdict(self.time).items(), ("total", self.time.total)):
            part = seconds / self.time.total
            lines.append(f"  {name.replace('_', ' '):<14}{seconds:12.3f}{part:8.1%}")
        rate = self.flops_per_second(True) / 1e12
        lines += [
            "",
            f"{rate:.0f} TFLOP/s a device with recomputation: HFU {self.hardware_utilization:.1%}, "
            f"MFU {self.model_utilization:.1%}; {self.tokens_per_second:,.0f} tokens a second",
            self.verdict(),
        ]
        return "\n".join(lines)

    def verdict(self) -> str:
        """Whether it fits, and by how much."""
        memory, amount = self.machine.memory / GIB, abs(self.over) / GIB
        if self.fits:
            return f"fits: {amount:.1f} GiB of {memory:.0f} are left"
        return f"does not fit: {amount:.1f} GiB too much for {memory:.0f} (stage {self.fullest})"


def plan(work: Work, machine: Machine, layout: Layout) -> SizingPlan:
    """Sizes a layout, fitting or not. Errors: ShapeError for sizes that do not divide."""
    layout.check(work, machine)
    stages = tuple(memory_of_stage(work, layout, s) for s in range(layout.pipeline))
    return SizingPlan(work, machine, layout, stages, step_time(work, machine, layout))


def search(
    work: Work,
    machine: Machine,
    start: Layout,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[list[SizingPlan], list[SizingPlan]]:
    """All layouts of the machine's devices: those that fit, fastest first, and those that do not,
    nearest first. From `start` are taken the batch and what is not searched for (zero, precision,
    attention, dropout, overlap). Errors: ShapeError where nothing can be divided so."""
    candidates = list(_candidates(work, machine, start))
    found = []
    for i, layout in enumerate(candidates):
        if layout.trouble(work, machine) is None:
            found.append(plan(work, machine, layout))
        if on_progress is not None:
            on_progress(i + 1, len(candidates))
    if not found:
        sizes = f"{work.layers} layers, {work.heads} heads and a batch of {start.batch}"
        remedy = "change the batch or the number of devices"
        what = f"{sizes} cannot be divided among {machine.gpus} devices"
        raise ShapeError(explain("plan", what, remedy=remedy))
    fitting = sorted((p for p in found if p.fits), key=lambda p: p.time.total)
    return fitting, sorted((p for p in found if not p.fits), key=lambda p: p.over)


def _candidates(work: Work, machine: Machine, start: Layout) -> Iterator[Layout]:
    tensors = [t for t in divisors(machine.gpus_per_node) if machine.gpus % t == 0]
    for tensor in tensors:
        for pipeline in divisors(work.layers):
            data, left = divmod(machine.gpus, tensor * pipeline)
            if left or not data:
                continue
            chunks = [c for c in divisors(work.layers // pipeline) if c <= 4]
            rows = itertools.product(MICROBATCHES, chunks, RECOMPUTE, {False, tensor > 1})
            for microbatch, chunk, recompute, sequence in rows:
                yield replace(
                    start,
                    tensor=tensor,
                    pipeline=pipeline,
                    data=data,
                    microbatch=microbatch,
                    chunks=chunk,
                    recompute=recompute,
                    sequence=sequence,
                )


def table_of(plans: Sequence[SizingPlan]) -> str:
    """One row a plan."""
    lines = [
        f"{'step s':>8} {'MFU':>6} {'GiB':>7} {'over':>7}  tensor pipeline data micro chunks "
        "sequence recompute"
    ]
    for p in plans:
        layout = p.layout
        held = p.stages[p.fullest].total / GIB
        over = f"{p.over / GIB:7.1f}" if not p.fits else f"{'':>7}"
        lines.append(
            f"{p.time.total:8.3f} {p.model_utilization:6.1%} {held:7.1f} {over}  "
            f"{layout.tensor:6} {layout.pipeline:8} {layout.data:4} {layout.microbatch:5} "
            f"{layout.chunks:6} {'yes' if layout.sequence else 'no':>8} {layout.recompute}"
        )
    return "\n".join(lines)
