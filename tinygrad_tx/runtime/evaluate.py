"""evaluate: the values of nodes, outside of a capture.

Programs are kept by the structure of the graph, so that a loop typed at a prompt plans once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from tinygrad_tx.compiler.pipeline import compile_graph
from tinygrad_tx.graph.node import Aval, Node, make_node
from tinygrad_tx.graph.registry import find
from tinygrad_tx.graph.walk import collect, substitute
from tinygrad_tx.runtime.buffer import Array, realized
from tinygrad_tx.runtime.execute import Executable

__all__ = ["Slot", "evaluate", "slot_leaf"]

KEPT_PROGRAMS = 256

_programs: OrderedDict[Any, Any] = OrderedDict()


class Slot:
    """Stands for the memory that is bound when a Program runs."""

    __slots__ = ("dtype", "shape")

    def __init__(self, aval: Aval) -> None:
        self.shape = aval.shape
        self.dtype = aval.dtype

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slot) and (self.shape, self.dtype) == (other.shape, other.dtype)

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))


def slot_leaf(aval: Aval, number: int) -> Node:
    """The leaf for slot `number` of a Program."""
    attrs = {"buffer": Slot(aval), "tag": number}
    return make_node(find("buffer"), (), attrs, (aval,), "", "", "")


def evaluate(nodes: Sequence[Node]) -> list[Array]:
    """The value of each node. What is known already is not computed again."""
    missing = list(dict.fromkeys(n for n in nodes if _known(n) is None))
    if missing:
        order = collect(missing, stop=lambda n: _known(n) is not None)
        leaves = [n for n in order if _known(n) is not None]
        key = _structure(order, missing, leaves)
        program = _programs.get(key)
        if program is None:
            slots = [slot_leaf(leaf.aval, i) for i, leaf in enumerate(leaves)]
            graph = substitute(missing, dict(zip(leaves, slots, strict=True)))
            program = _programs[key] = compile_graph(graph, (), slots, generate=False)
            if len(_programs) > KEPT_PROGRAMS:
                _programs.popitem(last=False)
        _programs.move_to_end(key)
        arrays = [_known(leaf) for leaf in leaves]
        results = Executable(program).run([a for a in arrays if a is not None])
        realized.update(zip(missing, results, strict=True))
    values = [_known(n) for n in nodes]
    return [v for v in values if v is not None]


def _known(node: Node) -> Array | None:
    found = realized.get(node)
    if found is None and node.op.name == "buffer":
        array: Array = node.attrs["buffer"].array
        return array
    return found


def _structure(order: Sequence[Node], outputs: Sequence[Node], leaves: Sequence[Node]) -> Any:
    """A key that two graphs share when one Program serves both."""
    number = {n: i for i, n in enumerate(order)}
    known = set(leaves)
    rows = tuple(
        node.aval
        if node in known
        else (
            node.op,
            tuple((k, _typed(v)) for k, v in sorted(node.attrs.items())),
            tuple(number[i] for i in node.inputs),
        )
        for node in order
    )
    return rows, tuple(number[o] for o in outputs)


def _typed(value: Any) -> Any:
    """1, 1.0 and True are equal in Python, and -0.0 is 0.0: the key tells them apart."""
    return (type(value).__name__, repr(value)) if isinstance(value, (int, float)) else value
