"""What a graph of another program is here: our nodes, which can be drawn but not run.

Operators are made for the graph they stand in and never registered. A name from the file is made
harmless here: printable, of bounded length, of bounded depth.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from tinygrad_tx.errors import DrawError, GraphError, Rejected, explain
from tinygrad_tx.graph.node import Aval, Cost, Node, Operator

__all__ = [
    "UNKNOWN_RANK",
    "ForeignGraph",
    "OpenSize",
    "Stored",
    "foreign_operator",
    "printable",
    "scope_of",
]

LONGEST_WORD = 64
DEEPEST_SCOPE = 16


@dataclass(frozen=True)
class ForeignGraph:
    """A graph that another program wrote, as nodes of ours, to be drawn.

    outputs: what it computes. parameters: leaf -> path. inputs: leaf -> name. modules: path ->
    kind, where the file tells it. open_sizes: symbols of sizes that the file leaves open; figures
    count each as 1.
    """

    title: str
    outputs: tuple[Node, ...]
    parameters: Mapping[Node, str]
    inputs: Mapping[Node, str]
    modules: Mapping[str, str]
    open_sizes: tuple[str, ...] = ()


class OpenSize(int):
    """A size that a file leaves open: it shows as its symbol and counts as 1; `4*batch` as 4.

    It equals nothing but a size of the same symbol.
    """

    symbol: str

    def __new__(cls, symbol: str) -> OpenSize:
        factors = [part.strip() for part in symbol.split("*")]
        size = super().__new__(cls, prod(int(f) for f in factors if f.isdecimal()) or 1)
        size.symbol = symbol
        return size

    def __str__(self) -> str:
        return self.symbol

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OpenSize) and other.symbol == self.symbol

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.symbol)


UNKNOWN_RANK = OpenSize("…")
"""The one size that stands for a shape of which not even the number of dimensions is known."""


@dataclass(frozen=True)
class Stored:
    """Stands where a leaf of ours has its memory: the numbers stay in the file."""

    name: str


def foreign_operator(
    name: str,
    cost: Callable[[Node], Cost] | None = None,
    is_view: bool = False,
    formula: str = "",
) -> Operator:
    """An operator for the eye alone. is_view: the same numbers in another shape or form."""
    view = _no_strides if is_view else None
    return Operator(
        name, infer=_refuse, gradient=_refuse_gradient, cost=cost, view=view, formula=formula
    )


def _refuse(*avals: Aval, **attrs: Any) -> Aval:
    raise Rejected(GraphError, "this graph is of another program: it is drawn, not run")


def _refuse_gradient(b: Any, node: Node, *cotangents: Any) -> Sequence[Node | None]:
    what = f"{node.op.name} is of another program: its gradient is not known here"
    raise DrawError(explain("draw", what, remedy="use view blocks or ops"))


def _no_strides(node: Node, strides: Any, index: int) -> None:
    """Nothing of it lies in memory."""


def printable(text: str, longest: int = LONGEST_WORD) -> str:
    """The text on one line, without signs that do not print; long texts are cut and numbered."""
    if len(text) > longest:
        text = f"{text[: longest - 9]}…{zlib.crc32(text.encode(errors='replace')):08x}"
    return "".join(c if c.isprintable() else "·" for c in text)


def scope_of(path: str) -> str:
    """A module path with `.` or `/` between its words as a scope of ours.

    TorchScript repeats the name of a called list in those of its items: `/mlp/mlp.0` is `mlp.0`.
    """
    words: list[str] = []
    outer = ""
    for part in path.split("/", 2 * DEEPEST_SCOPE):
        if outer and part.startswith(f"{outer}."):
            words += part.removeprefix(f"{outer}.").split(".", DEEPEST_SCOPE)
        else:
            words += part.split(".", DEEPEST_SCOPE)
        outer = part or outer
    kept = [printable(word.replace(" ", "_")) for word in words if word]
    return ".".join(kept[:DEEPEST_SCOPE])
