"""epilogues: a fused group that reads a matrix product becomes that product's epilogue.

The two nodes become one, which runs where the group stood: the product has no other reader, so it
may run that late. Its kernel then works on rows of the result while they are in the cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tinygrad_tx.compiler.fuse import FUSED, Body
from tinygrad_tx.compiler.simplify import scalar_of
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Aval, Cost, Node, Operator, make_node
from tinygrad_tx.graph.walk import collect, users_of

__all__ = ["WITH_EPILOGUE", "attach", "product_of"]


def _infer(*_: Aval, body: Body, **attrs: object) -> tuple[Aval, ...]:
    del attrs
    return body.avals


def product_of(node: Node) -> Node:
    """The product inside a node with an epilogue."""
    operator, inputs = node.attrs["operator"], node.inputs[: node.attrs["factors"]]
    found = operator.infer(*(i.aval for i in inputs))
    return make_node(operator, inputs, {}, (found,), node.scope, "", node.where)


def _cost(node: Node) -> Cost:
    product, body = product_of(node), node.attrs["body"]
    work = product.op.cost(product).flops if product.op.cost else 0
    others = sum(i.aval.nbytes for i in node.inputs if scalar_of(i) is None)
    moved = others + sum(o.nbytes for o in node.outputs)
    return Cost(work + len(body.lines) * product.aval.size, moved)


WITH_EPILOGUE = Operator("matmul+fused", infer=_infer, cost=_cost, reads="any", writes="any")
"""Inputs: the factors of `operator`, then the inputs of `body` but for number `at`, the product."""


def attach(outputs: Sequence[Node]) -> tuple[Node, ...]:
    """The graph with every product inside the one fused node that reads it."""
    nodes = collect(outputs)
    users = users_of(nodes)
    wanted = set(outputs)
    new: dict[Node, Node] = {}
    for node in nodes:
        inputs = tuple(new[i] for i in node.inputs)
        found = _product(node, users, wanted) if node.op is FUSED else None
        if found is None:
            new[node] = Builder(node.scope, node.where).rebuild(node, inputs)
            continue
        at, product = found
        operands = tuple(new[i] for i in product.inputs)
        body, factors = node.attrs["body"], len(operands)
        attrs = {"body": body, "operator": product.op, "factors": factors, "at": at}
        new[node] = make_node(
            WITH_EPILOGUE,
            (*operands, *inputs[:at], *inputs[at + 1 :]),
            attrs,
            node.outputs,
            product.scope,
            "",
            product.where,
        )
    return tuple(new[o] for o in outputs)


def _product(
    node: Node, users: Mapping[Node, list[Node]], wanted: set[Node]
) -> tuple[int, Node] | None:
    """The latest input of a fused node that only it reads, and that can take it as epilogue."""
    found: list[tuple[int, Node]] = []
    for at, source in enumerate(node.inputs):
        only = users[source] == [node] and source not in wanted
        while only and source.op.name == "reshape":
            (inner,) = source.inputs
            only = users[inner] == [source] and inner not in wanted
            source = inner
        op = source.op
        if not (only and op.epilogue and op.fits is not None and op.fits(source)):
            continue
        # Rows of the product must be rows of the group: the last axis is the same.
        if node.shape[-1:] == source.shape[-1:] and all(i.aval.size for i in source.inputs):
            found.append((at, source))
    return max(found, key=lambda f: f[1].serial, default=None)
