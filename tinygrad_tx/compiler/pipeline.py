"""compile: the passes, in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tinygrad_tx.autodiff.expansion import open_where
from tinygrad_tx.compiler.epilogue import attach
from tinygrad_tx.compiler.fuse import LARGEST_GROUP, fuse
from tinygrad_tx.compiler.memory import plan_memory
from tinygrad_tx.compiler.plan import Planner
from tinygrad_tx.compiler.program import Program
from tinygrad_tx.compiler.reunite import reunite
from tinygrad_tx.compiler.schedule import schedule
from tinygrad_tx.compiler.simplify import simplify
from tinygrad_tx.compiler.sums import sum_groups
from tinygrad_tx.graph.node import Node

__all__ = ["OPTIONAL", "PASSES", "Pass", "compile_graph", "passes"]

PASSES = ("reunite", "expand", "simplify", "fuse", "epilogue", "sums")
"""The names of all passes, in the order in which they run."""

OPTIONAL = ("reunite", "simplify", "grouping", "epilogues", "sums")
"""What may be left out: it changes how fast a graph runs and not what it computes."""

Pass = Callable[[Sequence[Node]], tuple[Node, ...]]


def passes(generate: bool, without: frozenset[str] = frozenset()) -> tuple[tuple[str, Pass], ...]:
    """From the graph as written to the graph that is planned, some optional ones left out.

    Each with its name, one of `PASSES`.
    """

    def expand(outputs: Sequence[Node]) -> tuple[Node, ...]:
        return open_where(outputs, (), lambda n: not _is_served(n, generate))

    def group(outputs: Sequence[Node]) -> tuple[Node, ...]:
        return fuse(outputs, 1 if "grouping" in without else LARGEST_GROUP)

    found: list[tuple[str, Pass]] = [("reunite", reunite)] if "reunite" not in without else []
    found.append(("expand", expand))
    if "simplify" not in without:
        found.append(("simplify", simplify))
    if generate:
        found.append(("fuse", group))
        if "epilogues" not in without:
            found.append(("epilogue", attach))
        if "sums" not in without:
            found.append(("sums", sum_groups))
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


def _is_served(node: Node, generate: bool) -> bool:
    """Whether something runs this node as it is."""
    op = node.op
    if op.lower is not None and (op.fits is None or op.fits(node)):
        return True
    if op.is_elementwise and generate:
        return True
    return op.ufunc is not None or op.reference is not None or op.view is not None
