"""Who is to blame: the first operator along the graph whose own rule disagrees with differences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_tx.errors import TinygradTxError
from tinygrad_tx.graph.node import Node, Operator
from tinygrad_tx.graph.walk import collect
from tinygrad_tx.ops.call import owner_of
from tinygrad_tx.runtime.evaluate import evaluate
from tinygrad_tx.testing.differences import slope
from tinygrad_tx.testing.operators import apply
from tinygrad_tx.testing.repro import code_of_call, code_of_graph
from tinygrad_tx.testing.subjects import Array, Subject, TensorSubject, is_real, location_of
from tinygrad_tx.viz.names import Names
from tinygrad_tx.viz.ops_view import ops_picture
from tinygrad_tx.viz.render import Drawing

__all__ = ["explained", "guilty"]

_INNOCENT = {"buffer", "constant", "part", "iota"}


def explained(subject: Subject, arrays: Sequence[Array], mode: str) -> tuple[str, str, Any]:
    """Who is to blame, how to reproduce it, and the graph with the guilty node marked."""
    if not isinstance(subject, TensorSubject):
        return "", code_of_call(subject, arrays), None
    leaves, outputs = subject.traced(arrays)
    node = guilty(outputs, mode)
    repro = code_of_graph(subject, leaves, outputs, arrays)
    drawing = Drawing(ops_picture(outputs, Names(), shapes=True, marked=node)[0])
    if node is None:
        return "no single operator: each rule is right by itself", repro, drawing
    return f"{_name(node)}, {_rule_place(node)}", repro, drawing


def guilty(outputs: Sequence[Node], mode: str) -> Node | None:
    """The first node, inputs before users, whose rule is wrong at the values it has here."""
    for node in collect(outputs):
        if node.op.name in _INNOCENT or not node.inputs:
            continue
        if not any(i.dtype.kind == "f" for i in node.inputs):
            continue
        try:
            if not _is_right(node, mode):
                return node
        except (TinygradTxError, FloatingPointError):
            continue  # it cannot be checked here, so it cannot be blamed
    return None


def _is_right(node: Node, mode: str) -> bool:
    values = evaluate([i for i in node.inputs if len(i.outputs) == 1])
    arrays = [v.astype(np.float64) if is_real(v) else v for v in values]
    attrs = dict(node.attrs)
    local = TensorSubject(lambda *tensors: apply(node.op, *tensors, **attrs), node.op.name)
    rng = np.random.default_rng(0)
    outputs = local.value(arrays)
    for _ in range(2):
        cotangents = [np.asarray(rng.normal(size=o.shape)) for o in outputs if is_real(o)]
        if not cotangents:
            return True
        moves: list[Array] = [
            np.asarray(rng.normal(size=a.shape)) if is_real(a) else np.zeros(a.shape)
            for a in arrays
        ]

        def along(
            t: float, moves: list[Array] = moves, cotangents: list[Array] = cotangents
        ) -> tuple[float, float]:
            moved = [a + t * m if is_real(a) else a for a, m in zip(arrays, moves, strict=True)]
            found = [o for o in local.value(moved) if is_real(o)]
            terms = [c * o for c, o in zip(cotangents, found, strict=True)]
            return sum(float(x.sum()) for x in terms), sum(float(np.abs(x).sum()) for x in terms)

        measured = slope(along)
        if not measured.is_known:
            continue
        if mode == "reverse":
            pulled = local.vjp(arrays, cotangents)
            claimed = sum(float((g * m).sum()) for g, m in zip(pulled, moves, strict=True))
        else:
            pushed = local.jvp(arrays, moves)
            claimed = sum(float((c * t).sum()) for c, t in zip(cotangents, pushed, strict=True))
        if not measured.excess(claimed, 1e-6) <= 1:
            return False
    return True


def _rule_of(node: Node) -> Any:
    """The function that states the derivative; for custom operators the user's."""
    owner = owner_of(node)
    if owner is not None:
        return owner.rule
    op: Operator = node.op
    return op.partials or op.gradient or op.tangent or op.expand or op.reference


def _rule_place(node: Node) -> str:
    place = location_of(_rule_of(node))
    if not place:
        return f"made at {node.where}" if node.where else "a rule without a source file"
    file, _, line = place.rpartition(":")
    rule = getattr(_rule_of(node), "__name__", "rule")
    made = f", used at {node.where}" if node.where else ""
    shown = Path(file)
    return f"rule `{rule}` at {shown}:{line}{made}"


def _name(node: Node) -> str:
    owner = owner_of(node)
    if owner is not None:
        return f"custom operator {getattr(owner, '__name__', '')}"
    return f"operator {node.op.name}"
