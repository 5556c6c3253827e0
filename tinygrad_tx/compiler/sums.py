"""sums: a fused group that only a sum over everything reads is added up where it is computed."""

from __future__ import annotations

from collections.abc import Sequence

from tinygrad_tx.compiler.fuse import FUSED, Body
from tinygrad_tx.dtypes import float32
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Aval, Node, Operator, make_node
from tinygrad_tx.graph.walk import collect, users_of

__all__ = ["SUMMED", "sum_groups"]

MOST_AXES = 4  # what a generated kernel walks


def _infer(*_: Aval, body: Body, result: Aval) -> Aval:
    del body
    return result


SUMMED = Operator("fused+sum", infer=_infer, reads="any", writes="contiguous")


def sum_groups(outputs: Sequence[Node]) -> tuple[Node, ...]:
    """The graph with every such group and its sum as one node."""
    nodes = collect(outputs)
    users = users_of(nodes)
    wanted = set(outputs)
    new: dict[Node, Node] = {}
    for node in nodes:
        if node.op.reduce == "sum" and _is_alone(node, users[node.inputs[0]], wanted):
            group = node.inputs[0]
            attrs = {"body": group.attrs["body"], "result": node.aval}
            inputs = tuple(new[i] for i in group.inputs)
            place = (group.scope, "", group.where)
            new[node] = make_node(SUMMED, inputs, attrs, node.outputs, *place)
        else:
            inputs = tuple(new[i] for i in node.inputs)
            new[node] = Builder(node.scope, node.where).rebuild(node, inputs)
    return tuple(new[o] for o in outputs)


def _is_alone(node: Node, readers: Sequence[Node], wanted: set[Node]) -> bool:
    """Whether `node` adds up all of a fused node that nobody else reads."""
    group = node.inputs[0]
    return (
        group.op is FUSED
        and len(group.outputs) == 1
        and group not in wanted
        and readers == [node]
        and (node.aval.size, node.dtype) == (1, float32)
        and group.aval.size > 0
        and sum(n != 1 for n in group.shape) <= MOST_AXES
    )
