"""reunite: attention that was opened to be looked at, and not changed inside, is one kernel again.

scores = attention_scores(q, k)       the graph says what depends on what, so that a point in
pattern = attention_pattern(scores)   it can be changed or differentiated;
context = matmul(pattern, v)          here it is known that nobody did
                 |
context, lse, scores, pattern = attention_seen(q, k, v)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.walk import collect, rewrite, users_of
from tinygrad_tx.ops.attending import repeated

__all__ = ["reunite"]


@dataclass(frozen=True, slots=True)
class _Opened:
    """The nodes of one attention that stands open; v has the heads of the keys."""

    scores: Node
    softmax: Node
    pattern: Node
    context: Node
    v: Node


def reunite(outputs: Sequence[Node]) -> tuple[Node, ...]:
    """The same values; scores and pattern are given out only where somebody reads them."""
    if not any(n.op.name == "attention_pattern" for n in collect(outputs)):
        return tuple(outputs)
    outputs = rewrite(outputs, lambda b, n: n.inputs[0] if n.op.name == "point" else None)
    nodes = collect(outputs)
    users, wanted = users_of(nodes), set(outputs)
    found = {o.scores: o for o in map(_opened, nodes) if o is not None}
    new: dict[Node, Node] = {}
    for node in nodes:
        if node in found:
            new.update(_united(found[node], users, wanted, new))
        elif node not in new:
            inputs = tuple(new[i] for i in node.inputs)
            new[node] = Builder(node.scope, node.where).rebuild(node, inputs)
    return tuple(new[o] for o in outputs)


def _opened(context: Node) -> _Opened | None:
    """The attention of which this node is the last, if nothing inside it was changed."""
    if context.op.name != "matmul" or context.inputs[0].op.name != "part":
        return None
    pattern, values = context.inputs
    softmax = pattern.inputs[0]
    if softmax.op.name != "attention_pattern" or pattern.attrs["index"] != 0:
        return None
    (scores,) = softmax.inputs
    if scores.op.name != "attention_scores":
        return None
    v = _of_key_heads(values, scores.inputs[1].shape[-3])
    # A node depends on older ones alone: values that are no older might be made from the scores.
    if v is None or v.serial > scores.serial or v.shape != scores.inputs[1].shape:
        return None
    return _Opened(scores, softmax, pattern, context, v)


def _of_key_heads(values: Node, heads: int) -> Node | None:
    """What `repeated` made these values from."""
    if values.shape[-3] == heads:
        return values
    source = values
    for _ in range(3):
        if not source.inputs:
            return None
        source = source.inputs[0]
    if len(source.shape) != len(values.shape) or source.shape[-3] != heads:
        return None
    return source if repeated(Builder(), source, values.shape[-3]) is values else None


def _united(
    opened: _Opened, users: Mapping[Node, list[Node]], wanted: set[Node], new: Mapping[Node, Node]
) -> dict[Node, Node]:
    """For each node of it what takes its place; those that nobody reads stay themselves."""
    scores, softmax, pattern = opened.scores, opened.softmax, opened.pattern
    q, k, *bias = scores.inputs
    shown = {
        "scores": scores in wanted or users[scores] != [softmax],
        "pattern": pattern in wanted or users[pattern] != [opened.context],
    }
    b = Builder(opened.context.scope, opened.context.where)
    inputs = [new[i] for i in (q, k, opened.v, *bias)]
    attrs = {**scores.attrs, "extras": len(bias), "dropout": 0.0, "offset": 0}
    if any(shown.values()):
        context, lse, *rest = b.attention_seen(*inputs, **attrs, **shown)
    else:
        context, lse, *rest = b.attention(*inputs, **attrs)
    found = {n: n for n in (scores, softmax, *users[softmax])}
    found |= {n: lse for n in users[softmax] if n.attrs["index"] == 1}
    given = [n for n, name in ((scores, "scores"), (pattern, "pattern")) if shown[name]]
    return {**found, **dict(zip(given, rest, strict=True)), opened.context: context}
