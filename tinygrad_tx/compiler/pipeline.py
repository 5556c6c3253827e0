"""compile: the passes, in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tinygrad_tx.autodiff.expansion import open_where
from tinygrad_tx.compiler.epilogue import attach
from tinygrad_tx.compiler.fuse import fuse
from tinygrad_tx.compiler.memory import plan_memory
from tinygrad_tx.compiler.plan import Planner
from tinygrad_tx.compiler.program import Program
from tinygrad_tx.compiler.reunite import reunite
from tinygrad_tx.compiler.schedule import schedule
from tinygrad_tx.compiler.simplify import simplify
from tinygrad_tx.compiler.sums import sum_groups
from tinygrad_tx.errors import CompileError, explain
from tinygrad_tx.graph.node import Node

__all__ = ["PASSES", "Pass", "Rewrite", "compile_graph", "optional", "passes"]

Rewrite = Callable[[Sequence[Node]], tuple[Node, ...]]


@dataclass(frozen=True, slots=True)
class Pass:
    """A step of the compiler from graph to graph.

    run: what it does under `tx.jit`. eager: what it does where nothing is generated; None: nothing.
    left_out: what takes its place in a program without it, which computes the same values and only
    takes more time; None: it cannot be left out.
    """

    name: str
    run: Rewrite
    eager: Rewrite | None = None
    left_out: Rewrite | None = None


def _unchanged(outputs: Sequence[Node]) -> tuple[Node, ...]:
    return tuple(outputs)


def _expand(outputs: Sequence[Node]) -> tuple[Node, ...]:
    return open_where(outputs, (), lambda n: not (n.op.is_elementwise or _is_served(n)))


def _expand_eagerly(outputs: Sequence[Node]) -> tuple[Node, ...]:
    return open_where(outputs, (), lambda n: not _is_served(n))


def _fuse_nothing(outputs: Sequence[Node]) -> tuple[Node, ...]:
    """Elementwise nodes run as generated kernels alone, so that each is a group of its own."""
    return fuse(outputs, largest=1)


PASSES: tuple[Pass, ...] = (
    Pass("reunite", reunite, eager=reunite, left_out=_unchanged),
    Pass("expand", _expand, eager=_expand_eagerly),
    Pass("simplify", simplify, eager=simplify, left_out=_unchanged),
    Pass("fuse", fuse, left_out=_fuse_nothing),
    Pass("epilogue", attach, left_out=_unchanged),
    Pass("sums", sum_groups, left_out=_unchanged),
)
"""All passes, in the order in which they run. A new one is a line here: `tx.draw`'s rewrite view,
the random programs of the tests and their runs without it take it from this tuple."""


def optional() -> tuple[str, ...]:
    """The names of what may be left out."""
    return tuple(p.name for p in PASSES if p.left_out is not None)


def passes(
    generate: bool, without: frozenset[str] = frozenset()
) -> tuple[tuple[str, Rewrite], ...]:
    """From the graph as written to the graph that is planned, some optional ones left out.

    Errors: CompileError for a name in `without` that is no optional pass.
    """
    unknown = without - set(optional())
    if unknown:
        what = f"{', '.join(sorted(unknown))} cannot be left out"
        raise CompileError(explain("compile", what, remedy=f"one of {', '.join(optional())}"))
    found: list[tuple[str, Rewrite]] = []
    for p in PASSES:
        run = p.run if generate else p.eager
        if run is not None:
            found.append((p.name, p.left_out if p.left_out and p.name in without else run))
    return tuple(found)


def compile_graph(
    outputs: Sequence[Node],
    updates: Sequence[tuple[Node, Node]],
    leaves: Sequence[Node],
    generate: bool,
    without: frozenset[str] = frozenset(),
) -> Program:
    """The Program for `outputs`. `updates` pair a leaf with the value that replaces it.

    generate: elementwise groups become generated kernels; else they are NumPy calls and nothing
    is ever compiled for them. without: names of optional passes to leave out.
    """
    graph = (*outputs, *(value for _, value in updates))
    for _, run in passes(generate, without):
        graph = run(graph)
    slots = {leaf: i for i, leaf in enumerate(leaves)}
    values = graph[len(outputs) :]
    pairs = [(v, slots[leaf]) for v, (leaf, _) in zip(values, updates, strict=True)]
    plan = schedule(graph[: len(outputs)], pairs, slots)
    planner = Planner(plan, slots, generate)
    return plan_memory(planner.program([leaf.aval for leaf in leaves]))


def _is_served(node: Node) -> bool:
    """Whether something runs this node as it is, without a loop generated for it."""
    op = node.op
    if op.lower is not None and (op.fits is None or op.fits(node)):
        return True
    return op.ufunc is not None or op.reference is not None or op.view is not None
