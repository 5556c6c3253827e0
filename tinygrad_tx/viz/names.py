"""Names: what a picture calls the leaves and modules of a graph."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tinygrad_tx.compiler.simplify import scalar_of
from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.walk import collect
from tinygrad_tx.ops.call import owner_of

__all__ = [
    "INSIDE_ATTENTION",
    "Names",
    "Opened",
    "alike",
    "components",
    "inside_attention",
    "operation_of",
    "spaced",
    "stands_open",
    "titled",
    "usual_depth",
]

Opened = int | frozenset[str]
"""Which modules stand open: all down to a depth, or those named; see `alike` for the names."""

INSIDE_ATTENTION = "scaled_dot_product_attention"
"""The module that a picture makes of an attention that it takes apart."""


@dataclass(frozen=True)
class Names:
    """Known names; a graph without them is drawn by its scopes alone.

    parameters: leaf -> path. modules: path -> class. inputs: leaf -> argument. titles: path -> what
    the module itself wants to be called.
    """

    title: str = ""
    parameters: Mapping[Node, str] = field(default_factory=dict)
    modules: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[Node, str] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)

    def is_parameter(self, leaf: Node) -> bool:
        """Whether a leaf is trained."""
        if leaf in self.parameters:
            return True
        owner = getattr(leaf.attrs["buffer"], "owner", None)
        return owner is not None and owner() is not None

    def title_of(self, path: str) -> str:
        """What the box of a module says: its own title as it is, its class, or its path's end."""
        if path in self.titles:
            return self.titles[path]
        last = components(path)[-1]
        return spaced(self.modules.get(path, last.split(".")[0]))


def components(path: str) -> tuple[str, ...]:
    """The modules of a scope; a number belongs to its list: `blocks.3`, `attention`."""
    parts: list[str] = []
    for word in path.split(".") if path else ():
        if (word.isdigit() or word == "*") and parts:
            parts[-1] += f".{word}"
        else:
            parts.append(word)
    return tuple(parts)


def alike(path: str) -> str:
    """A path with `*` for the numbers in it: modules that repeat open together."""
    return re.sub(r"(?<=\.)\d+(?=\.|$)", "*", path)


def inside_attention(scope: str) -> str:
    """The path of what is inside an attention that is asked for in `scope`."""
    return ".".join(n for n in (scope, INSIDE_ATTENTION) if n)


def stands_open(opened: Opened, parts: tuple[str, ...]) -> bool:
    """Whether the module with these components stands open; the whole always does."""
    if isinstance(opened, int):
        return len(parts) <= opened
    return not parts or alike(".".join(parts)) in opened


def operation_of(node: Node) -> str:
    """What a node is called: its operator, or the function of a custom operator."""
    name = getattr(owner_of(node), "__name__", node.op.name)
    return "custom operator" if name == "<lambda>" else name


def titled(node: Node) -> str:
    """Name and operation, with the constants that it reads."""
    values = (scalar_of(i) for i in node.inputs)
    shown = (f"{v:.4g}" if isinstance(v, float) else str(v) for v in values if v is not None)
    title = " ".join([operation_of(node), *shown])
    return f"{node.name}: {title}" if node.name else title


def usual_depth(nodes: Iterable[Node]) -> int:
    """How many levels of modules to open: down to the outermost blocks that repeat, or 1.

    Constants do not count: equal ones are one node, in the scope of whichever model made it first.
    """
    scopes: set[str] = set()
    made_of_memory: set[Node] = set()
    for node in collect(nodes):
        if node.op.name == "buffer" or any(i in made_of_memory for i in node.inputs):
            made_of_memory.add(node)
            scopes.add(node.scope)
    levels = {
        level
        for scope in scopes
        for level, part in enumerate(components(scope), 1)
        if part.rpartition(".")[2].isdigit()
    }
    return min(levels, default=1)


def spaced(name: str) -> str:
    """`MultiHeadAttention` and `multi_head_attention` as `Multi Head Attention`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name).replace("_", " ")
    return " ".join(w if w[:1].isupper() else w.capitalize() for w in words.split())
