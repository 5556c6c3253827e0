"""From a scheduled graph to steps over buffers: the last passes, schedule and plan memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinygrad_tx.compiler.emit import Constant, array_copy, fused_steps, kernel_copy
from tinygrad_tx.compiler.layout import allowed, is_contiguous, reads_of, view_of, whole
from tinygrad_tx.compiler.place import place
from tinygrad_tx.compiler.program import ArrayStep, KernelStep, Memory, Program, Step
from tinygrad_tx.compiler.schedule import Schedule
from tinygrad_tx.compiler.simplify import scalar_of
from tinygrad_tx.dtypes import DType, float32
from tinygrad_tx.errors import CompileError, explain
from tinygrad_tx.graph.lowering import Kernel, Operand, View
from tinygrad_tx.graph.node import Aval, Node
from tinygrad_tx.shapes import contiguous_strides

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
        leaf_buffer = [self._new("leaf", a.nbytes, slot=i) for i, a in enumerate(leaves)]
        for node, slot in self.slots.items():
            self._house(node, whole(leaf_buffer[slot], node))
        outputs = self._output_homes()
        targets = {n: whole(leaf_buffer[slot], n) for n, slot in s.in_place.items()}
        targets |= {n: v for n, v in outputs.items() if n not in targets}
        self.placed = place(s.nodes, targets, self._arena)
        for position, node in enumerate(s.nodes[: s.commit]):
            self._write(node, position)
        results = self._results(outputs, before_commit=True)
        staged = [(self._staged(node, slot), slot) for node, slot in s.updates]
        commit = len(self.steps)
        for position, node in enumerate(s.nodes[s.commit :], s.commit):
            self._write(node, position)
        results |= self._results(outputs, before_commit=False)
        for (node, view), slot in staged:
            source = view if view is not None else self._source(node)
            self._copy(source, whole(leaf_buffer[slot], node), "update")
        written = sorted({slot for _, slot in s.updates} | set(s.in_place.values()))
        return Program(
            tuple(leaves),
            tuple(self.memory),
            tuple(self.steps),
            commit,
            tuple(results[i] for i in range(len(s.outputs))),
            tuple(written),
            0,
            tuple(self.places),
            self.flops,
        )

    def _house(self, node: Node, view: View) -> None:
        self.homes[node] = view
        last = self.schedule.last_read.get(node, -1)
        self.ends[view.buffer] = max(last, self.ends.get(view.buffer, -1))

    def _new(self, kind: Any, nbytes: int, **more: Any) -> int:
        self.memory.append(Memory(kind, nbytes, **more))
        return len(self.memory) - 1

    def _arena(self, node: Node) -> View:
        return whole(self._new("arena", node.aval.nbytes), node)

    def _output_homes(self) -> dict[Node, View]:
        """Fresh memory for each output, where the first output of that node is made."""
        homes: dict[Node, View] = {}
        self.output_memory = []
        for i, node in enumerate(self.schedule.outputs):
            view = whole(self._new("output", node.aval.nbytes, slot=i), node)
            self.output_memory.append(view)
            if node not in self.slots and scalar_of(node) is None:
                homes.setdefault(node, view)
        return homes

    def _results(self, homes: Mapping[Node, View], before_commit: bool) -> dict[int, View]:
        """Copies outputs that could not be made in their memory; once their node has run."""
        done: dict[int, View] = {}
        for i, (node, view) in enumerate(
            zip(self.schedule.outputs, self.output_memory, strict=True)
        ):
            if (node in self.schedule.late) == before_commit:
                continue
            if self.homes.get(node) != view:
                self._copy(self._source(node), view, "output")
            done[i] = view
        return done

    def _staged(self, node: Node, slot: int) -> tuple[Node, View | None]:
        """An update's value, moved to the arena if it stands in memory that the commit changes."""
        if node in self.schedule.late:
            return node, None
        source = self._source(node)
        if isinstance(source, View) and self.memory[source.buffer].kind == "leaf":
            view = self._arena(node)
            self._copy(source, view, "stage")
            return node, view
        return node, None

    def _source(self, node: Node) -> View | Constant:
        value = scalar_of(node)
        return self.homes[node] if value is None else Constant(value, node.aval)

    def _copy(self, source: View | Constant, target: View, label: str) -> None:
        if target.size == 0 or (isinstance(source, View) and _same_memory(source, target)):
            return
        if self.generate:
            self.steps.extend(kernel_copy(source, target, label))
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
            _NodeLowering(self, node, position).run()

    def _write_part(self, node: Node) -> None:
        producer = node.inputs[0]
        if producer.op.view is None:
            return  # its home was given when the producer was written
        view = view_of(producer, self._view(producer.inputs[0]), node.attrs["index"])
        assert view is not None, "a part of a view is a view"
        self._settle(node, view)

    def _write_view(self, node: Node) -> None:
        if len(node.outputs) > 1:
            return  # its parts are the views
        self._settle(node, view_of(node, self._view(node.inputs[0])))

    def _settle(self, node: Node, view: View | None) -> None:
        """Gives a view node its home: the view itself, or a copy where one is needed or asked."""
        home = self.placed.get(node)
        if home is not None and home != view and _same_memory(home, view):
            home = view
        if view is None:
            source = self._view(node.inputs[0])
            home = home or self._arena(node)
            # A view that strides cannot show: copy the input in its own shape to C order.
            shaped = replace(home, shape=source.shape, strides=whole(0, node.inputs[0]).strides)
            if not is_contiguous(home.shape, home.strides):
                temporary = self._arena(node)
                self._copy(source, replace(shaped, buffer=temporary.buffer, offset=0), "copy")
                self._copy(temporary, home, "copy")
            else:
                self._copy(source, shaped, "copy")
        elif home is not None:
            self._copy(view, home, "copy")
        final = home or view
        assert final is not None
        self._house(node, final)

    def _view(self, node: Node) -> View:
        """The memory of a value; constants are written out when a kernel wants memory."""
        if node not in self.homes:
            value = scalar_of(node)
            assert value is not None, f"{node} was not planned"
            data = np.full((), value, node.dtype)
            buffer = self._new("constant", node.dtype.itemsize, data=data)
            strides = (0,) * len(node.shape)
            self._house(node, View(buffer, 0, node.shape, strides, node.dtype))
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


class _NodeLowering:
    """The Lowering of one node: its views, and the rows that it adds."""

    def __init__(self, planner: Planner, node: Node, position: int) -> None:
        self.planner = planner
        self.node = node
        self.position = position
        self.label = f"{node.op.name} {node.path}".strip()
        self.tag = len(planner.places)
        operands = ", ".join(str(i.aval) for i in node.inputs)
        named = node.attrs.get("what", f"{self.label} of {operands}")
        planner.places.append(f"{named} at {node.where}" if node.where else named)
        self.reads: tuple[View, ...] = ()
        self.writes: tuple[View, ...] = ()

    def run(self) -> None:
        before = len(self.planner.steps)
        self._lower()
        if len(self.planner.steps) > before:
            flops, moved = self._work()
            last = self.planner.steps[-1]
            self.planner.steps[-1] = replace(last, flops=flops, bytes=moved)

    def _work(self) -> tuple[int, int]:
        """Operations and bytes of the node: as it states, or what its memory and lines say."""
        if self.node.op.cost is not None:
            cost = self.node.op.cost(self.node)
            return cost.flops, cost.bytes
        moved = sum(o.nbytes for o in self.node.outputs)
        moved += sum(i.aval.nbytes for i in self.node.inputs if scalar_of(i) is None)
        lines = len(self.node.attrs["body"].lines) if self.node.op.name == "fused" else 1
        return lines * max(o.size for o in self.node.outputs), moved

    def _lower(self) -> None:
        op = self.node.op
        if op.name == "fused":
            sources = [self.planner._source(i) for i in self.node.inputs]
            self.writes = self._homes(tuple(s for s in sources if isinstance(s, View)))
            body = self.node.attrs["body"]
            self.planner.steps += fused_steps(body, sources, self.writes, self.label)
        elif op.lower is not None and (op.fits is None or op.fits(self.node)):
            self.reads = tuple(
                self._read(i, layout)
                for i, layout in zip(
                    self.node.inputs, reads_of(op, len(self.node.inputs)), strict=True
                )
            )
            self.writes = self._homes(self.reads)
            op.lower(self, self.node)
        else:
            self.reads = tuple(self.planner._view(i) for i in self.node.inputs)
            self.writes = self._homes(self.reads)
            function = _array_function(self.node)
            self.planner.steps.append(ArrayStep(function, self.reads, self.writes, self.label))

    def workspace(self, count: int, dtype: DType = float32) -> View:
        buffer = self.planner._new("arena", count * dtype.itemsize)
        return View(buffer, 0, (count,), (1,), dtype)

    def call(self, kernel: Kernel, *operands: Operand, shares: int = 1) -> None:
        self.planner.steps.append(KernelStep(kernel, shares, operands, self.label))

    def copy(self, source: View, target: View) -> None:
        self.planner._copy(source, target, self.label)

    def fill(self, target: View, value: float) -> None:
        constant = Constant(value, Aval(target.shape, target.dtype))
        self.planner._copy(constant, target, self.label)

    def _read(self, node: Node, layout: Any) -> View:
        view = self.planner._view(node)
        if allowed(layout, view.shape, view.strides):
            return view
        copy = self.planner._arena(node)
        self.planner._copy(view, copy, f"{self.label} (layout)")
        return copy

    def _homes(self, reads: tuple[View, ...]) -> tuple[View, ...]:
        """Where each result goes: where it was placed, over a dying input, or new memory."""
        planner, node = self.planner, self.node
        values = planner.schedule.parts.get(node, [node])
        homes: list[View] = []
        for index, aval in enumerate(node.outputs):
            value = next(
                (v for v in values if len(node.outputs) == 1 or v.attrs["index"] == index), None
            )
            home = planner.placed.get(value) if value is not None else None
            if home is None and value is not None:
                home = self._over_dying_input(aval, reads, homes)
            if home is None:
                buffer = planner._new("arena", aval.nbytes)
                strides = contiguous_strides(aval.shape)
                home = View(buffer, 0, aval.shape, strides, aval.dtype)
            homes.append(home)
            if value is not None:
                planner._house(value, home)
        return tuple(homes)

    def _over_dying_input(
        self, aval: Aval, reads: tuple[View, ...], taken: list[View]
    ) -> View | None:
        """An input's memory that nobody reads after this step, if the operator may overwrite it."""
        op, planner = self.node.op, self.planner
        elementwise = op.name == "fused" or op.is_elementwise
        for i, read in enumerate(reads):
            if not (elementwise or i in op.inplace):
                continue
            if (read.shape, read.dtype) != (aval.shape, aval.dtype) or read in taken:
                continue
            home = planner.memory[read.buffer]
            if home.kind != "arena" or home.nbytes != aval.nbytes:
                continue
            same = all(r == read for r in reads if r.buffer == read.buffer)
            # A copy made for this step alone is in nobody else's way: it has no end of its own.
            dies = planner.ends.get(read.buffer, self.position) <= self.position
            if same and dies and is_contiguous(read.shape, read.strides):
                return read
        return None


def _array_function(node: Node) -> Any:
    """The NumPy form of a node, as `function(reads, writes)`."""
    op, attrs = node.op, dict(node.attrs)
    if op.ufunc is not None:
        ufunc = op.ufunc
        return lambda reads, writes: ufunc(*reads, out=writes[0])
    if op.reference is None:
        raise CompileError(explain(op.name, f"has neither a kernel nor a reference for {node}"))
    reference = op.reference

    def run(reads: list[Any], writes: list[Any]) -> None:
        results = reference(*reads, **attrs)
        for target, value in zip(
            writes, results if isinstance(results, tuple) else (results,), strict=True
        ):
            target[...] = value

    return run
