"""From a scheduled graph to steps over buffers: the last passes, schedule and plan memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinygrad_tx.compiler.emit import Constant, array_copy, kernel_copy
from tinygrad_tx.compiler.layout import is_contiguous, view_of, whole
from tinygrad_tx.compiler.lower import NodeLowering
from tinygrad_tx.compiler.place import place
from tinygrad_tx.compiler.program import Memory, Program, Step
from tinygrad_tx.compiler.schedule import Schedule
from tinygrad_tx.compiler.simplify import scalar_of
from tinygrad_tx.graph.lowering import View
from tinygrad_tx.graph.node import Aval, Node

__all__ = ["Planner"]


@dataclass
class Planner:
    """Walks the schedule once and writes the steps of each node.

    generate: elementwise work goes to generated kernels, else to NumPy.
    """

    schedule: Schedule
    slots: Mapping[Node, int]
    generate: bool
    memory: list[Memory] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    homes: dict[Node, View] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)
    places: list[str] = field(default_factory=list)
    flops: int = 0

    def program(self, leaves: Sequence[Aval]) -> Program:
        """The finished Program, but for the offsets in the arena."""
        s = self.schedule
        leaf_buffer = [self.new_memory("leaf", a.nbytes, slot=i) for i, a in enumerate(leaves)]
        for node, slot in self.slots.items():
            self.house(node, whole(leaf_buffer[slot], node))
        outputs = self._output_homes()
        targets = {n: whole(leaf_buffer[slot], n) for n, slot in s.in_place.items()}
        targets |= {n: v for n, v in outputs.items() if n not in targets}
        self.placed = place(s.nodes, targets, self.new_arena)
        for position, node in enumerate(s.nodes[: s.commit]):
            self._write(node, position)
            self._give([node])
        self._give([n for n in s.outputs if n not in s.late])
        staged = [(self._staged(node, slot), slot) for node, slot in s.updates]
        commit = len(self.steps)
        for position, node in enumerate(s.nodes[s.commit :], s.commit):
            self._write(node, position)
            self._give([node])
        for (node, view), slot in staged:
            source = view if view is not None else self.source(node)
            self.copy(source, whole(leaf_buffer[slot], node), "update")
        written = sorted({slot for _, slot in s.updates} | set(s.in_place.values()))
        return Program(
            tuple(leaves),
            tuple(self.memory),
            tuple(self.steps),
            commit,
            tuple(self.output_memory),
            tuple(written),
            0,
            tuple(self.places),
            self.flops,
        )

    def house(self, node: Node, view: View) -> None:
        self.homes[node] = view
        last = self.schedule.last_read.get(node, -1)
        self.ends[view.buffer] = max(last, self.ends.get(view.buffer, -1))

    def new_memory(self, kind: Any, nbytes: int, **more: Any) -> int:
        self.memory.append(Memory(kind, nbytes, **more))
        return len(self.memory) - 1

    def new_arena(self, node: Node) -> View:
        return whole(self.new_memory("arena", node.aval.nbytes), node)

    def _output_homes(self) -> dict[Node, View]:
        """Fresh memory for each output, where the first output of that node is made."""
        homes: dict[Node, View] = {}
        self.output_memory: list[View] = []
        self.owed: dict[Node, list[View]] = {}
        for i, node in enumerate(self.schedule.outputs):
            view = whole(self.new_memory("output", node.aval.nbytes, slot=i), node)
            self.output_memory.append(view)
            self.owed.setdefault(node, []).append(view)
            if node not in self.slots and scalar_of(node) is None:
                homes.setdefault(node, view)
        return homes

    def _give(self, nodes: Sequence[Node]) -> None:
        """Copies outputs that could not be made in their memory: at once, while they are in the
        cache."""
        for node in nodes:
            for view in self.owed.pop(node, ()):
                if self.homes.get(node) != view:
                    self.copy(self.source(node), view, "output")

    def _staged(self, node: Node, slot: int) -> tuple[Node, View | None]:
        """An update's value, moved to the arena if it stands in memory that the commit changes."""
        if node in self.schedule.late:
            return node, None
        source = self.source(node)
        if isinstance(source, View) and self.memory[source.buffer].kind == "leaf":
            view = self.new_arena(node)
            self.copy(source, view, "stage")
            return node, view
        return node, None

    def source(self, node: Node) -> View | Constant:
        value = scalar_of(node)
        return self.homes[node] if value is None else Constant(value, node.aval)

    def copy(self, source: View | Constant, target: View, label: str) -> None:
        if target.size == 0 or (isinstance(source, View) and _same_memory(source, target)):
            return
        if self.generate:
            written = frozenset([target.buffer])
            steps = kernel_copy(source, target, label)
            self.steps.extend(replace(step, writes=written) for step in steps)
        else:
            self.steps.append(array_copy(source, target, label))

    def _write(self, node: Node, position: int) -> None:
        """Adds the steps of one node and notes where its value lives."""
        name = node.op.name
        if node in self.slots or scalar_of(node) is not None:
            return
        if name == "part":
            self._write_part(node)
        elif node.op.view is not None:
            self._write_view(node)
        else:
            self.flops += node.op.cost(node).flops if node.op.cost else 0
            NodeLowering(self, node, position).run()

    def _write_part(self, node: Node) -> None:
        producer = node.inputs[0]
        if producer.op.view is None:
            return  # its home was given when the producer was written
        view = view_of(producer, self.view(producer.inputs[0]), node.attrs["index"])
        assert view is not None, "a part of a view is a view"
        self._settle(node, view)

    def _write_view(self, node: Node) -> None:
        if len(node.outputs) > 1:
            return  # its parts are the views
        self._settle(node, view_of(node, self.view(node.inputs[0])))

    def _settle(self, node: Node, view: View | None) -> None:
        """Gives a view node its home: the view itself, or a copy where one is needed or asked."""
        home = self.placed.get(node)
        if home is not None and home != view and _same_memory(home, view):
            home = view
        if view is None:
            source = self.view(node.inputs[0])
            home = home or self.new_arena(node)
            # A view that strides cannot show: copy the input in its own shape to C order.
            shaped = replace(home, shape=source.shape, strides=whole(0, node.inputs[0]).strides)
            if not is_contiguous(home.shape, home.strides):
                temporary = self.new_arena(node)
                self.copy(source, replace(shaped, buffer=temporary.buffer, offset=0), "copy")
                self.copy(temporary, home, "copy")
            else:
                self.copy(source, shaped, "copy")
        elif home is not None:
            self.copy(view, home, "copy")
        final = home or view
        assert final is not None
        self.house(node, final)

    def view(self, node: Node) -> View:
        """The memory of a value; constants are written out when a kernel wants memory."""
        if node not in self.homes:
            value = scalar_of(node)
            assert value is not None, f"{node} was not planned"
            data = np.full((), value, node.dtype)
            buffer = self.new_memory("constant", node.dtype.itemsize, data=data)
            strides = (0,) * len(node.shape)
            self.house(node, View(buffer, 0, node.shape, strides, node.dtype))
        return self.homes[node]


def _same_memory(left: View, right: View | None) -> bool:
    """Equal up to the strides of axes of size 1."""
    if right is None or left.size == 0:
        return left.size == 0 and right is not None
    axes = [i for i, n in enumerate(left.shape) if n != 1]
    return (left.buffer, left.offset, left.shape, left.dtype) == (
        right.buffer,
        right.offset,
        right.shape,
        right.dtype,
    ) and all(left.strides[i] == right.strides[i] for i in axes)
