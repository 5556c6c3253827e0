"""How a rule for an operator looks, and the table of them all.

A rule says in ONNX what one operator of ours means. Each theme has a file beside this one; an
operator without a rule is opened by its own expansion, and one that has neither cannot be exported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from tinygrad_tx.graph.node import Node

if TYPE_CHECKING:
    from tinygrad_tx.interop.onnx_trace import OpenNode
    from tinygrad_tx.interop.onnx_writing.writer import Writer

__all__ = ["LOWEST_OPSET", "RULES", "Rule", "named", "rule", "serves"]

LOWEST_OPSET = 18
"""Reductions take their axes as an input from here on."""

Emit = Callable[["Writer", "OpenNode", Sequence[str]], "str | Sequence[str]"]
"""emit(writer, node, names of its inputs): the name of the result, or of each of several."""

E = TypeVar("E", bound=Emit)


@dataclass(frozen=True)
class Rule:
    """emit: adds the nodes. says: the ONNX operators, for the table in the documents. since: the
    opset that has them. fits: whether they mean the same for this node. broadcasts: whether they
    broadcast their inputs themselves, as ours do not."""

    emit: Emit
    says: str
    since: int = LOWEST_OPSET
    fits: Callable[[Node], bool] | None = None
    broadcasts: bool = False


RULES: dict[str, Rule] = {}
"""By the name of our operator."""


def rule(
    name: str,
    says: str,
    since: int = LOWEST_OPSET,
    fits: Callable[[Node], bool] | None = None,
    broadcasts: bool = False,
) -> Callable[[E], E]:
    """Puts the decorated function into the table."""

    def put(emit: E) -> E:
        assert name not in RULES, name
        RULES[name] = Rule(emit, says, since, fits, broadcasts)
        return emit

    return put


def named(name: str, op_type: str, broadcasts: bool = True, **attrs: int) -> None:
    """An operator that ONNX has too, under another name."""

    @rule(name, op_type, broadcasts=broadcasts)
    def emit(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
        return writer.add(op_type, inputs, **attrs)


def serves(node: Node, opset: int) -> bool:
    """Whether the table has a rule for this node in this opset."""
    found = RULES.get(node.op.name)
    if found is None or found.since > opset:
        return False
    return found.fits is None or found.fits(node)
