"""Program: a plan that has no decision left in it: steps over buffers with known addresses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from tinygrad_tx.graph.lowering import Kernel, Operand, View
from tinygrad_tx.graph.node import Aval

__all__ = ["ArrayStep", "KernelStep", "Memory", "Program", "Step"]


@dataclass(slots=True)
class Memory:
    """One buffer of a Program.

    arena: at byte `offset` of the arena. leaf: the array bound to `slot`. output: fresh memory at
    each run, result `slot`. constant: `data`.
    """

    kind: Literal["arena", "leaf", "output", "constant"]
    nbytes: int
    slot: int = -1
    offset: int = 0
    data: np.ndarray[Any, Any] | None = None
    first: int = -1
    last: int = -1


@dataclass(frozen=True, slots=True)
class KernelStep:
    """One row of the tape."""

    kernel: Kernel
    shares: int
    operands: tuple[Operand, ...]
    label: str
    flops: int = 0
    bytes: int = 0
    """Work of the node that this step belongs to, noted on the last of its steps."""
    writes: frozenset[int] = frozenset()
    """Buffers that the step may write."""


@dataclass(frozen=True, slots=True)
class ArrayStep:
    """A NumPy call: `function(reads, writes)` on arrays that are views of the buffers."""

    function: Callable[[list[Any], list[Any]], None] = field(compare=False)
    reads: tuple[View, ...]
    writes: tuple[View, ...]
    label: str
    flops: int = 0
    bytes: int = 0


Step = KernelStep | ArrayStep


@dataclass(frozen=True, slots=True)
class Program:
    """Steps in order. From `commit` on they change state, and run only if no status was reported.

    leaves: what must be bound, by slot. outputs: one view for each result. updates: pairs of
    (slot, view) still to be copied into the leaf after the last step; those written in place are
    not among them. written: slots whose memory the steps change. places: for a status tag the
    label and source line of its node.
    """

    leaves: tuple[Aval, ...]
    memory: tuple[Memory, ...]
    steps: tuple[Step, ...]
    commit: int
    outputs: tuple[View, ...]
    written: tuple[int, ...]
    arena_bytes: int
    places: tuple[str, ...]
    flops: int = 0

    @property
    def kernels(self) -> tuple[str, ...]:
        """Names of the compiled kernels, each once."""
        return tuple(dict.fromkeys(s.kernel.name for s in self.steps if isinstance(s, KernelStep)))

    def text(self) -> str:
        """One line for each step: what it runs, reads and writes."""
        lines = [f"arena {self.arena_bytes} bytes, {len(self.leaves)} leaves"]
        for i, step in enumerate(self.steps):
            if i == self.commit:
                lines.append("commit:")
            if isinstance(step, KernelStep):
                shown = ", ".join(_operand_text(o, self.memory) for o in step.operands)
                lines.append(f"  {step.kernel.name} x{step.shares} ({shown})  # {step.label}")
            else:
                reads = ", ".join(_operand_text(v, self.memory) for v in step.reads)
                writes = ", ".join(_operand_text(v, self.memory) for v in step.writes)
                lines.append(f"  numpy {step.label}({reads}) -> {writes}")
        return "\n".join(lines)


def _operand_text(operand: Operand, memory: tuple[Memory, ...]) -> str:
    if isinstance(operand, Kernel):
        return operand.name
    if not isinstance(operand, View):
        return str(operand)
    home = memory[operand.buffer]
    place = {
        "arena": f"@{home.offset}",
        "leaf": f"leaf{home.slot}",
        "output": f"out{home.slot}",
        "constant": "const",
    }[home.kind]
    start = f"+{operand.offset}" if operand.offset else ""
    return f"{place}{start}:{operand.dtype}{list(operand.shape)}"
