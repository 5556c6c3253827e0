"""Where a model's values stop being numbers: the first parameter, operation and point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.walk import collect, substitute
from tinygrad_tx.nn import Module
from tinygrad_tx.reasoning.look import Model
from tinygrad_tx.reasoning.point import Point, opened_at, points_of
from tinygrad_tx.runtime import not_finite as search
from tinygrad_tx.runtime.not_finite import infinite_on_purpose
from tinygrad_tx.runtime.values import values_of
from tinygrad_tx.table import Table, shown_as_table
from tinygrad_tx.tensor import Tensor, no_grad
from tinygrad_tx.tensor.tensor import as_tensor
from tinygrad_tx.tree import flatten

__all__ = ["BadPoint", "NotFinite", "not_finite"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class BadPoint:
    """A named place with values that are no numbers. count of them among size; the first is `value`
    at `index`."""

    path: str
    count: int
    size: int
    value: float
    index: tuple[int, ...]
    axes: tuple[str, ...] = ()


@shown_as_table
@dataclass(frozen=True)
class NotFinite:
    """Where the first NaN or infinity of a model arises.

    parameters: bad ones, the cause where there are any. operation: the first whose result is bad
    while all that it was given is not, with its place in model and code. bad_points: in the order
    of computation. points: how many were looked at.
    """

    parameters: tuple[BadPoint, ...]
    operation: str
    bad_points: tuple[BadPoint, ...]
    points: int

    @property
    def is_finite(self) -> bool:
        return not (self.parameters or self.operation or self.bad_points)

    @property
    def first(self) -> BadPoint | None:
        """The first point that is bad, in the order of computation."""
        return self.bad_points[0] if self.bad_points else None

    def text(self) -> str:
        """What was found, in a sentence."""
        if self.is_finite:
            return f"All parameters and all {self.points} points are finite."
        causes = [f"parameter {p.path} ({p.count} of {p.size} values)" for p in self.parameters]
        causes += [self.operation] if self.operation else []
        where = f"; the first point is {self.first.path}" if self.first else ""
        return f"First not finite: {', '.join(causes)}{where}."

    def table(self) -> Table:
        columns = ("place", "kind", "not finite", "of", "first value", "at")
        rows = tuple(
            (p.path, kind, p.count, p.size, str(p.value), _spelled(p))
            for kind, several in (("parameter", self.parameters), ("point", self.bad_points))
            for p in several
        )
        return Table("Values that are no numbers", columns, rows, (self.text(),))

    def json(self) -> dict[str, Any]:
        return {**self.table().json(), "is_finite": self.is_finite, "operation": self.operation}


def not_finite(model: Model, *inputs: Any) -> NotFinite:
    """Every parameter and every named point looked at, and the first operation that goes wrong.

    inputs: what the model is called with; `model.example()` if not given. Points inside of fused
    operators are among them, so that a NaN of an attention pattern is told from one of its values.
    An infinity that a constant puts there on purpose, as a mask does, is none; a NaN always is.
    Values are looked at a few at a time: memory stays near that of one pass.
    """
    if not inputs and isinstance(model, Module) and hasattr(model, "example"):
        inputs = model.example()
    parameters = tuple(_bad_parameters(model)) if isinstance(model, Module) else ()
    given = [as_tensor(i) if isinstance(i, np.ndarray) else i for i in inputs]
    with no_grad(), np.errstate(all="ignore"):
        results = [t.node for t in flatten(model(*given), _is_tensor)[0]]
        own = [t.node for t in flatten(tuple(given), _is_tensor)[0]]
        if isinstance(model, Module):
            own += [p.node for p in model.parameters()]
        nodes = _with_constants(opened_at(results, ["*"]), frozenset(own))
        named = points_of(nodes)
        on_purpose = infinite_on_purpose(collect(nodes))
        paths = {node: point for point, node in named.values() if node.dtype.kind == "f"}
        found = []
        for node, value in values_of(list(paths)):
            bad = np.isnan(value) if node in on_purpose else ~np.isfinite(value)
            found += _bad(paths[node], value, bad)
        first = search.first_not_finite(nodes)
    operation = ""
    if first is not None and first.node.inputs:
        made = f" at {first.node.where}" if first.node.where else ""
        inside = f" in {first.node.scope}" if first.node.scope else ""
        operation = f"{first.node.op.name}{inside}{made}: {first.value} at {first.index}"
    elif first is not None and not parameters:
        operation = f"an input: {first.value} at {first.index}"
    return NotFinite(parameters, operation, tuple(found), len(named))


def _with_constants(nodes: Sequence[Node], own: frozenset[Node]) -> tuple[Node, ...]:
    """The graph with infinite numbers of the code (a mask's) as constants of it.

    A number that stands beside another number alone, as in where(mask, 0.0, -inf), is memory like
    any other; the search would take it for a bad input.
    """
    b, found = Builder(), {}
    for node in collect(nodes):
        if node.op.name == "buffer" and node.shape == () and node not in own:
            value = float(node.attrs["buffer"].array)
            if node.dtype.kind == "f" and math.isinf(value):
                found[node] = b.constant(value, node.dtype)
    return substitute(nodes, found) if found else tuple(nodes)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)


def _bad_parameters(model: Module) -> list[BadPoint]:
    found = []
    for name, parameter in model.named_parameters():
        value = parameter.numpy()
        if value.dtype.kind == "f":
            found += _bad(name, value, ~np.isfinite(value))
    return found


def _bad(place: Point | str, value: Array, bad: Array) -> list[BadPoint]:
    if not bad.any():
        return []
    at = tuple(int(i) for i in np.argwhere(bad)[0])
    path, axes = (place, ()) if isinstance(place, str) else (place.path, place.axes)
    return [BadPoint(path, int(bad.sum()), value.size, float(value[at]), at, axes)]


def _spelled(p: BadPoint) -> str:
    names = p.axes if len(p.axes) == len(p.index) else ("",) * len(p.index)
    return ", ".join(f"{name} {i}".strip() for name, i in zip(names, p.index, strict=True))
