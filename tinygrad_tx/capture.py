"""Capture: what tensors mean while `tx.jit` records a function.

Memory that the function reads from outside is state: it gets a leaf of this capture, and what is
assigned to it becomes its value for the rest of the capture and an update of the Program.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from tinygrad_tx.errors import CaptureError, explain
from tinygrad_tx.graph.node import Aval, Node, make_node
from tinygrad_tx.graph.place import user_place
from tinygrad_tx.graph.registry import find
from tinygrad_tx.runtime.buffer import Buffer
from tinygrad_tx.runtime.evaluate import evaluate

__all__ = [
    "Capture",
    "Lazy",
    "capturing",
    "current",
    "mode_changes",
    "outside",
    "pending",
    "read_mode",
    "refuse",
    "set_mode",
]


class Lazy(Protocol):
    """A tensor that is not computed yet."""

    @property
    def node(self) -> Node: ...

    def realize(self) -> Any: ...


pending: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
"""Tensors that wait to be computed, outside of any capture: a step that is about to change memory
that they read computes them first. By id: tensors compare element by element."""

_tags = itertools.count(-1, -1)
_current: ContextVar[Capture | None] = ContextVar("capture", default=None)


class Capture:
    """The state that one recorded function reads and changes."""

    def __init__(self) -> None:
        self._tag = next(_tags)
        self.leaves: dict[Buffer, Node] = {}
        self.values: dict[Buffer, Node] = {}
        self.owners: dict[Node, Any] = {}
        """The tensor with gradients whose value a node became by assignment."""
        self.gradients: dict[int, tuple[Any, Any]] = {}
        """(tensor, what its `.grad` held before the function changed it), by id."""
        self.modes: dict[int, tuple[Any, bool]] = {}
        """Modules whose `training` the function read from outside, by id, with what it was."""
        self.own_modes: set[int] = set()
        """Modules whose `training` it set itself."""
        self._lifted: dict[Node, Buffer] = {}

    def leaf(self, buffer: Buffer) -> Node:
        """The present value of `buffer` in this capture."""
        if buffer not in self.values:
            aval = Aval(buffer.shape, buffer.dtype)
            attrs = {"buffer": buffer, "tag": self._tag}
            self.leaves[buffer] = make_node(
                find("buffer"), (), attrs, (aval,), "", "", buffer.where
            )
            self.values[buffer] = self.leaves[buffer]
        return self.values[buffer]

    def assign(self, buffer: Buffer, node: Node) -> None:
        """From here on `buffer` holds the value of `node`."""
        self.leaf(buffer)
        self.values[buffer] = node
        owner = buffer.owner() if buffer.owner is not None else None
        if owner is not None:
            self.owners[node] = owner

    def lift(self, node: Node) -> Node:
        """A value from outside that was not computed yet: a constant here."""
        if node not in self._lifted:
            (array,) = evaluate([node])
            self._lifted[node] = Buffer(array)
        return self.leaf(self._lifted[node])

    def note_grad(self, tensor: Any, before: Any) -> None:
        """`.grad` of `tensor` is about to change."""
        self.gradients.setdefault(id(tensor), (tensor, before))

    def updates(self) -> list[tuple[Node, Node]]:
        """Pairs of a leaf and the value that replaces it."""
        return [
            (leaf, self.values[buffer])
            for buffer, leaf in self.leaves.items()
            if self.values[buffer] is not leaf
        ]


_mode_changes = 0


def mode_changes() -> int:
    """How often a module was put into training or evaluation so far."""
    return _mode_changes


def read_mode(module: Any, value: bool) -> None:
    """The `training` of `module` is being read: what is recorded depends on it."""
    recording = current()
    if recording is not None and id(module) not in recording.own_modes:
        recording.modes.setdefault(id(module), (module, value))


def set_mode(module: Any) -> None:
    """The `training` of `module` has been set."""
    global _mode_changes
    _mode_changes += 1
    recording = current()
    if recording is not None:
        recording.own_modes.add(id(module))


def current() -> Capture | None:
    """The capture that is going on, if any."""
    return _current.get()


@contextmanager
def capturing() -> Iterator[Capture]:
    """Operations inside are recorded, not run."""
    capture = Capture()
    token = _current.set(capture)
    try:
        yield capture
    finally:
        _current.reset(token)


@contextmanager
def outside() -> Iterator[None]:
    """Operations inside are run at once, even while a capture is going on: for what depends on
    shapes alone, which are known."""
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)


def refuse(what: str, remedy: str = "return the tensor and read it outside") -> None:
    """CaptureError if a capture is going on: `what` needs a value that does not exist yet."""
    if current() is not None:
        place = user_place()
        where = f" (at {place})" if place else ""
        raise CaptureError(
            explain(
                "jit",
                f"{what} needs a value, but the function is only being recorded{where}",
                remedy=remedy,
            )
        )
