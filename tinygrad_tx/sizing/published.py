"""Published trainings: layouts and figures, which tests and docs/sizing.md compare plans with.

Facts of four papers; what a paper does not state is marked in `assumed`. `FITTED_ON` names the
figures that the two constants of `Machine` (efficiency, overhead) were fitted on: no others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tinygrad_tx.models import GPTConfig
from tinygrad_tx.sizing.duration import flops_of_step
from tinygrad_tx.sizing.layout import Layout, Recompute
from tinygrad_tx.sizing.machine import MACHINES
from tinygrad_tx.sizing.plan import SizingPlan, plan
from tinygrad_tx.sizing.work import work_of

__all__ = ["FITTED_ON", "PUBLISHED", "Published"]

VOCAB, CONTEXT = 51_200, 2048


@dataclass(frozen=True)
class Published:
    """One training on Selene. seconds: of an iteration; where a paper gives only a rate (teraflops,
    mfu), they follow from it by the operations of our graph."""

    name: str
    source: str
    layers: int
    heads: int
    width: int
    layout: Layout
    seconds: float | None = None
    teraflops: float | None = None
    mfu: float | None = None
    assumed: str = ""

    def plan(self) -> SizingPlan:
        config = GPTConfig(VOCAB, CONTEXT, self.layers, self.heads, self.width)
        nodes = max(1, self.layout.gpus // 8)
        return plan(work_of(config, self.name), MACHINES["selene"].of(nodes), self.layout)

    @property
    def published_seconds(self) -> float:
        if self.seconds is not None:
            return self.seconds
        work = self.plan().work
        if self.mfu is not None:
            return flops_of_step(work, self.layout) / (self.mfu * 312e12 * self.layout.gpus)
        assert self.teraflops is not None
        # The paper's rate counts recomputation: its equation 3 is 96 B s l h^2 (...), four passes.
        flops = flops_of_step(work, self.layout, with_recompute=True)
        return flops / (self.teraflops * 1e12 * self.layout.gpus)

    def error(self) -> float:
        """Our step time against theirs, relative."""
        return self.plan().time.total / self.published_seconds - 1


MODELS = {
    "22B": (48, 64, 6144),
    "175B": (96, 96, 12_288),
    "530B": (105, 128, 20_480),
    "1T": (128, 160, 25_600),
}


WAYS: tuple[tuple[Recompute, bool], ...] = (("full", False), ("selective", True))


def _korthikanti() -> Iterator[Published]:
    """Korthikanti et al. 2022, tables 3 and 5, and the abstract for 2240 devices."""
    rows = (
        ("22B", 1, 4, 4, 1, 1.42, 1.10),
        ("175B", 8, 64, 1, 3, 18.13, 13.75),
        ("530B", 35, 280, 1, 3, 49.05, 37.83),
        ("1T", 64, 512, 1, 1, 94.42, 71.49),
    )
    for name, pipeline, batch, microbatch, chunks, full, present in rows:
        layout = Layout(8, pipeline, 1, batch, microbatch, chunks)
        for (recompute, sequence), seconds in zip(WAYS, (full, present), strict=True):
            used = replace(layout, recompute=recompute, sequence=sequence)
            source = "Korthikanti et al. 2022, table 5"
            yield Published(f"{name} {recompute}", source, *MODELS[name], used, seconds)
    # The abstract: 54.2 % against 42.1 % of the peak, by the model's own operations.
    for (recompute, sequence), part in zip(WAYS, (0.421, 0.542), strict=True):
        wide = replace(Layout(8, 35, 8, 2240, 1, 3, sequence), recompute=recompute)
        source = "Korthikanti et al. 2022, abstract"
        yield Published(f"530B {recompute}, 2240", source, *MODELS["530B"], wide, mfu=part)


def _narayanan() -> Iterator[Published]:
    """Narayanan et al. 2021, table 1; interleaved schedule, full recomputation."""
    rows = (
        ("1.7B", 24, 24, 2304, 1, 1, 32, 512, 137),
        ("3.6B", 30, 32, 3072, 2, 1, 64, 512, 138),
        ("7.5B", 36, 32, 4096, 4, 1, 128, 512, 142),
        ("18.4B", 40, 48, 6144, 8, 1, 256, 1024, 135),
        ("39.1B", 48, 64, 8192, 8, 2, 512, 1536, 138),
        ("76.1B", 60, 80, 10_240, 8, 4, 1024, 1792, 140),
        ("145.6B", 80, 96, 12_288, 8, 8, 1536, 2304, 148),
        ("310.1B", 96, 128, 16_384, 8, 16, 1920, 2160, 155),
        ("529.6B", 105, 128, 20_480, 8, 35, 2520, 2520, 163),
        ("1008B", 128, 160, 25_600, 8, 64, 3072, 3072, 163),
    )
    for name, layers, heads, width, tensor, pipeline, gpus, batch, rate in rows:
        data = gpus // (tensor * pipeline)
        microbatch = 4 if pipeline == 1 else 1
        per_device = layers // pipeline
        divide = pipeline > 1 and batch // data % pipeline == 0
        chunks = min(c for c in range(2, per_device + 1) if per_device % c == 0) if divide else 1
        layout = Layout(tensor, pipeline, data, batch, microbatch, chunks, recompute="full")
        assumed = f"microbatch {microbatch}, chunks {chunks}"
        source = "Narayanan et al. 2021, table 1"
        yield Published(name, source, layers, heads, width, layout, None, rate, assumed=assumed)


def _smith() -> Iterator[Published]:
    """Smith et al. 2022, section 2.4: batch 1920 on 280, 350 and 420 nodes."""
    for nodes, seconds, rate in ((280, 60.1, 126), (350, 50.2, 121), (420, 44.4, 113)):
        layout = Layout(8, 35, nodes // 35, 1920, recompute="full")
        yield Published(
            f"MT-NLG, {nodes} nodes",
            "Smith et al. 2022, section 2.4",
            *MODELS["530B"],
            layout,
            seconds,
            rate,
            assumed="microbatch 1, chunks 1",
        )


PUBLISHED = (*_korthikanti(), *_narayanan(), *_smith())
FITTED_ON = ("22B selective", "175B selective", "530B selective", "1T selective")
