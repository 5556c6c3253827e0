"""Messages as nodes of the graph: one begins a transfer and one ends it, with work in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_tx.distributed.group import Array, Group, Request
from tinygrad_tx.errors import GraphError, explain
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Aval, Node
from tinygrad_tx.graph.place import user_place
from tinygrad_tx.graph.registry import find
from tinygrad_tx.shapes import Shape
from tinygrad_tx.tensor import Tensor

__all__ = ["Exchange", "Gather", "Timing", "effect", "in_order"]


@dataclass
class Timing:
    """Seconds in which messages were in flight, any of them, until they were found to be done;
    and the part of them in which the rank did nothing else."""

    running: float = 0.0
    exposed: float = 0.0
    in_flight: list[_Transfer] = field(default_factory=list)
    _since: float = 0.0

    def begins(self, transfer: _Transfer, now: float) -> None:
        if not self.in_flight:
            self._since = now
        self.in_flight.append(transfer)

    def ends(self, transfer: _Transfer) -> None:
        self.in_flight.remove(transfer)
        if not self.in_flight:
            self.running += time.perf_counter() - self._since


class _Transfer:
    """Between `start` and `finish` the array that was given is MPI's: it stays where it is, since
    `finish` reads it too."""

    def __init__(self, group: Group, share: int, timing: Timing) -> None:
        self.group, self.timing = group, timing
        self.taken = np.empty((group.size, share), np.float32)
        self._given: Array | None = None
        self._request: Request | None = None

    def _begin(self, given: Array) -> Request:
        raise NotImplementedError

    def start(self, given: Array, token: Array) -> Array:
        """Gives a token that the next message takes: all ranks begin them in the same order."""
        began = time.perf_counter()
        self._given = np.ascontiguousarray(given)
        self._request = self._begin(self._given)
        # MPI moves messages on only while it is called: this is the moment.
        for other in tuple(self.timing.in_flight):
            other._look()
        self.timing.begins(self, began)
        self.timing.exposed += time.perf_counter() - began
        return np.zeros((), np.int64)

    def _look(self) -> None:
        """Notes the end, if it is there."""
        if self._request is not None and self._request.is_done():
            self._ended()

    def _end(self) -> None:
        if self._request is not None:
            waits = time.perf_counter()
            self.group.wait(self._request)
            self._ended()
            self.timing.exposed += time.perf_counter() - waits
        self._given = None

    def _ended(self) -> None:
        self._request = None
        self.timing.ends(self)


class Exchange(_Transfer):
    """A bucket of gradients, of which each rank gets its share from all, and sums it."""

    def _begin(self, given: Array) -> Request:
        return self.group.start_exchange(given.reshape(self.taken.shape), self.taken)

    def finish(self, given: Array, token: Array) -> Array:
        """The sum of what all ranks have for this one, in the order of ranks. Shapes:
        (share,)."""
        self._end()
        return in_order(self.taken)


class Gather(_Transfer):
    """The new values of a bucket, of which each rank has its share."""

    def _begin(self, given: Array) -> Request:
        return self.group.start_gather(given, self.taken)

    def finish(self, given: Array, token: Array) -> Array:
        """Shapes: (length,)."""
        self._end()
        return self.taken.reshape(-1)


def in_order(rows: Array) -> Array:
    """The sum of two rows or more, from the first to the last: the same bits whoever came first."""
    total: Array = np.add(rows[0], rows[1])
    for row in rows[2:]:
        total += row
    return total


def effect(
    scope: str,
    function: Callable[..., Array],
    shape: Shape,
    dtype: Any,
    *inputs: Tensor,
    early: bool = False,
) -> Tensor:
    """A step of the graph that does something outside of it; see `external` for `early`. scope:
    what it is called in drawings and profiles."""
    results = (Aval(shape, np.dtype(dtype)),)
    b = Builder(scope, user_place())
    attrs: dict[str, Any] = {
        "function": function,
        "results": results,
        "rule": _no_rule,
        "early": early,
    }
    return Tensor(b.apply(find("external"), *(t.node for t in inputs), **attrs))


def _no_rule(b: Builder, node: Node, *cotangents: Node | None) -> Sequence[Node | None]:
    what = "has no gradient: messages come after the backward pass"
    raise GraphError(explain("distributed", what, made=[("it", node.where)]))
