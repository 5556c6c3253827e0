"""Layout: how a model and its batch are divided among devices, and what cannot be divided so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tinygrad_tx.errors import ShapeError, explain
from tinygrad_tx.shapes import divisors
from tinygrad_tx.sizing.machine import Machine
from tinygrad_tx.sizing.work import Work

__all__ = ["PRECISIONS", "RECOMPUTE", "Layout", "Precision", "Recompute"]

Recompute = Literal["none", "selective", "full"]
RECOMPUTE: tuple[Recompute, ...] = ("none", "selective", "full")


@dataclass(frozen=True)
class Precision:
    """Bytes of a number. optimizer: of Adam's moments, and of a copy of the weights if need be."""

    weights: int
    gradients: int
    optimizer: int
    activations: int


# mixed: weights of 16 bits, gradients added up in 32, a copy and two moments in 32: 18 bytes for
# each parameter. zero: 16, with gradients of 16 bits; Rajbhandari et al. 2020, section 3.1.
PRECISIONS = {
    "mixed": Precision(2, 4, 12, 2),
    "zero": Precision(2, 2, 12, 2),
    "float32": Precision(4, 4, 8, 4),
}


@dataclass(frozen=True)
class Layout:
    """Degrees of parallelism, and how a step is run. Errors: ShapeError, see `check`.

    batch: texts of a step, on all devices. microbatch: texts that go through at once. chunks:
    parts of the model on each device of the pipeline, which interleave. sequence: divides what
    tensor parallelism alone leaves whole. zero: what is divided among data-parallel devices: 1 the
    optimiser's state, 2 gradients too, 3 weights too. fused_attention: scores are never stored and
    what a causal mask hides is not computed. overlap: gradients are reduced while the last
    microbatch goes backward.
    """

    tensor: int = 1
    pipeline: int = 1
    data: int = 1
    batch: int = 1
    microbatch: int = 1
    chunks: int = 1
    sequence: bool = False
    zero: int = 0
    recompute: Recompute = "none"
    precision: str = "mixed"
    fused_attention: bool = False
    dropout: bool = True
    overlap: bool = False

    @property
    def gpus(self) -> int:
        return self.tensor * self.pipeline * self.data

    @property
    def microbatches(self) -> int:
        """How many go through each pipeline in a step."""
        return self.batch // (self.data * self.microbatch)

    @property
    def bytes(self) -> Precision:
        return PRECISIONS[self.precision]

    def text(self) -> str:
        parts = [f"tensor {self.tensor}", f"pipeline {self.pipeline}", f"data {self.data}"]
        parts += [f"microbatch {self.microbatch}", f"recompute {self.recompute}"]
        parts += [f"chunks {self.chunks}"] if self.chunks > 1 else []
        parts += ["sequence"] if self.sequence else []
        parts += [f"zero {self.zero}"] if self.zero else []
        return ", ".join(parts)

    def check(self, work: Work, machine: Machine) -> None:
        """Errors: ShapeError, with the sizes that do not divide and what would."""
        found = self.trouble(work, machine)
        if found is not None:
            raise ShapeError(explain("plan", found[0], remedy=found[1]))

    def trouble(self, work: Work, machine: Machine) -> tuple[str, str] | None:
        """What is wrong, and what to do; None if the layout is one."""
        degrees = {n: getattr(self, n) for n in ("tensor", "pipeline", "data", "batch")}
        degrees |= {"microbatch": self.microbatch, "chunks": self.chunks}
        for name, value in degrees.items():
            if value < 1:
                return f"{name} is {value}", "give 1 or more"
        if self.precision not in PRECISIONS or self.recompute not in RECOMPUTE:
            known = f"precision {', '.join(PRECISIONS)}; recompute {', '.join(RECOMPUTE)}"
            return f"precision {self.precision!r}, recompute {self.recompute!r}", f"known: {known}"
        if self.zero not in (0, 1, 2, 3):
            return f"zero is {self.zero}", "give 0, 1, 2 or 3"
        if self.gpus != machine.gpus:
            product = f"{self.tensor} x {self.pipeline} x {self.data} = {self.gpus}"
            made = f"{machine.nodes} x {machine.gpus_per_node} = {machine.gpus}"
            return f"tensor x pipeline x data is {product}, the machine has {made} devices", (
                "change --data or --gpus until both are equal"
            )
        return self._undivided(work, machine)

    def _undivided(self, work: Work, machine: Machine) -> tuple[str, str] | None:
        stages = self.pipeline * self.chunks
        texts = self.data * self.microbatch
        rows = (
            ("heads", work.heads, self.tensor, "--tensor"),
            ("key heads", work.key_heads, self.tensor, "--tensor"),
            ("width", work.width, self.tensor, "--tensor"),
            ("layers", work.layers, stages, "--pipeline x --chunks"),
            ("batch", self.batch, texts, "--data x --microbatch"),
        )
        for name, size, parts, option in rows:
            if size % parts:
                near = sorted(divisors(size), key=lambda d: abs(d - parts))[:4]
                remedy = f"{option} must divide {size}: {', '.join(map(str, sorted(near)))}"
                return f"{name} {size} cannot be divided by {option} = {parts}", remedy
        if self.tensor > machine.gpus_per_node:
            what = f"tensor {self.tensor} is more than the {machine.gpus_per_node} of a node"
            return what, "its all-reduces need the links inside a node: use --pipeline"
        if self.chunks > 1 and (self.pipeline == 1 or self.microbatches % self.pipeline):
            what = f"{self.microbatches} microbatches, interleaved on {self.pipeline} devices"
            return what, "chunks need a pipeline whose length divides the microbatches"
        if self.sequence and (self.tensor == 1 or work.context % self.tensor):
            what = f"a context of {work.context} over --tensor {self.tensor}"
            return what, "sequence parallelism needs --tensor above 1 that divides the context"
        return None
