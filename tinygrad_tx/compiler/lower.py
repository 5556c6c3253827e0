"""The steps of one node: by its kernel, by a generated one, or by NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tinygrad_tx.compiler.emit import Constant, fused_rows, fused_steps, summed_steps
from tinygrad_tx.compiler.epilogue import WITH_EPILOGUE, product_of
from tinygrad_tx.compiler.fuse import FUSED
from tinygrad_tx.compiler.layout import allowed, is_contiguous, reads_of
from tinygrad_tx.compiler.program import ArrayStep, KernelStep
from tinygrad_tx.compiler.simplify import scalar_of
from tinygrad_tx.compiler.sums import SUMMED
from tinygrad_tx.dtypes import DType, float32
from tinygrad_tx.errors import CompileError, explain
from tinygrad_tx.graph.lowering import Call, Kernel, Operand, View
from tinygrad_tx.graph.node import Aval, Node
from tinygrad_tx.shapes import contiguous_strides, reshape_strides

if TYPE_CHECKING:
    from tinygrad_tx.compiler.plan import Planner

__all__ = ["NodeLowering"]


class NodeLowering:
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
        self.epilogue: Call | None = None

    def run(self) -> None:
        planner = self.planner
        before, memory = len(planner.steps), len(planner.memory)
        self._lower()
        # What the node may write: where its values live, and all memory made for it.
        values = planner.schedule.parts.get(self.node, [self.node])
        homes = [planner.homes[v].buffer for v in values if v in planner.homes]
        written = frozenset([*homes, *range(memory, len(planner.memory))])
        for i, step in enumerate(planner.steps[before:], before):
            if isinstance(step, KernelStep):
                planner.steps[i] = replace(step, writes=written)
        if len(planner.steps) > before:
            flops, moved = self._work()
            planner.steps[-1] = replace(planner.steps[-1], flops=flops, bytes=moved)

    def _work(self) -> tuple[int, int]:
        """Operations and bytes of the node: as it states, or what its memory and lines say."""
        if self.node.op.cost is not None:
            cost = self.node.op.cost(self.node)
            return cost.flops, cost.bytes
        moved = sum(o.nbytes for o in self.node.outputs)
        moved += sum(i.aval.nbytes for i in self.node.inputs if scalar_of(i) is None)
        if self.node.op in (FUSED, SUMMED):
            body = self.node.attrs["body"]
            return len(body.lines) * body.avals[0].size, moved
        avals = (*self.node.outputs, *(i.aval for i in self.node.inputs))
        return max(a.size for a in avals), moved

    def _lower(self) -> None:
        op = self.node.op
        if op is FUSED:
            sources = [self.planner.source(i) for i in self.node.inputs]
            self.writes = self._homes(tuple(s for s in sources if isinstance(s, View)))
            body = self.node.attrs["body"]
            self.planner.steps += fused_steps(body, sources, self.writes, self.label)
        elif op is WITH_EPILOGUE:
            self._lower_with_epilogue()
        elif op is SUMMED:
            self._lower_summed()
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
            self.reads = tuple(self.planner.view(i) for i in self.node.inputs)
            self.writes = self._homes(self.reads)
            function = _array_function(self.node)
            self.planner.steps.append(ArrayStep(function, self.reads, self.writes, self.label))

    def _lower_with_epilogue(self) -> None:
        """A product, and elementwise work on its rows while they are in the cache."""
        node, body = self.node, self.node.attrs["body"]
        product, at = product_of(node), node.attrs["at"]
        homes = self._homes(())
        others = [self.planner.source(i) for i in node.inputs[len(product.inputs) :]]
        result = self._result_of(product, homes, others)
        strides = reshape_strides(product.shape, result.strides, node.shape)
        assert strides is not None, "only leading axes are split"
        reads = [*others[:at], replace(result, shape=node.shape, strides=strides), *others[at:]]
        self.epilogue = fused_rows(body, reads, homes)
        layouts = reads_of(product.op, len(product.inputs))
        self.reads = tuple(self._read(*p) for p in zip(product.inputs, layouts, strict=True))
        self.writes = (result,)
        assert product.op.lower is not None
        product.op.lower(self, product)
        if self.epilogue is None:
            self.planner.steps += fused_steps(body, reads, homes, self.label)

    def _lower_summed(self) -> None:
        body, label = self.node.attrs["body"], self.label
        sources = [self.planner.source(i) for i in self.node.inputs]
        self.writes = self._homes(())
        self.planner.steps += summed_steps(body, sources, self.writes[0], self.workspace, label)

    def _result_of(
        self, product: Node, homes: Sequence[View], others: Sequence[View | Constant]
    ) -> View:
        """Where the product goes: to the memory of the first result, unless it is read or laid out
        in a way that the product cannot write."""
        home = homes[0]
        strides = reshape_strides(home.shape, home.strides, product.shape)
        beside = {v.buffer for v in (*homes[1:], *others) if isinstance(v, View)}
        fits = strides is not None and allowed(product.op.writes, product.shape, strides)
        if fits and home.dtype == product.dtype and home.buffer not in beside:
            assert strides is not None
            return replace(home, shape=product.shape, strides=strides)
        return self.planner.new_arena(product)

    def workspace(self, count: int, dtype: DType = float32) -> View:
        buffer = self.planner.new_memory("arena", count * dtype.itemsize)
        return View(buffer, 0, (count,), (1,), dtype)

    def call(self, kernel: Kernel, *operands: Operand, shares: int = 1) -> None:
        self.planner.steps.append(KernelStep(kernel, shares, operands, self.label))

    def copy(self, source: View, target: View) -> None:
        self.planner.copy(source, target, self.label)

    def fill(self, target: View, value: float) -> None:
        constant = Constant(value, Aval(target.shape, target.dtype))
        self.planner.copy(constant, target, self.label)

    def _read(self, node: Node, layout: Any) -> View:
        view = self.planner.view(node)
        if allowed(layout, view.shape, view.strides):
            return view
        copy = self.planner.new_arena(node)
        self.planner.copy(view, copy, f"{self.label} (layout)")
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
                buffer = planner.new_memory("arena", aval.nbytes)
                strides = contiguous_strides(aval.shape)
                home = View(buffer, 0, aval.shape, strides, aval.dtype)
            homes.append(home)
            if value is not None:
                planner.house(value, home)
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
