"""jit: a function recorded once for each signature, planned once, then replayed.

Whatever memory the function reads from outside is state; assignments to it become part of the
Program, and take effect only if the whole step succeeded.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, TypeVar, overload

import numpy as np

from tinygrad_tx import capture
from tinygrad_tx.capture import Capture, capturing
from tinygrad_tx.compiler.pipeline import compile_graph
from tinygrad_tx.compiler.program import Program
from tinygrad_tx.errors import CaptureError, explain
from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.walk import collect, substitute
from tinygrad_tx.runtime.buffer import Array, Buffer, aligned
from tinygrad_tx.runtime.evaluate import slot_leaf
from tinygrad_tx.runtime.execute import Executable
from tinygrad_tx.tensor.tensor import Tensor, as_tensor
from tinygrad_tx.tree import Tree, flatten, unflatten

__all__ = ["Jitted", "Plan", "jit"]

MANY_SIGNATURES = 16

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """What a captured function will do."""

    program: Program

    @property
    def peak_bytes(self) -> int:
        """Memory beside arguments, state and results."""
        return self.program.arena_bytes

    @property
    def flops(self) -> int:
        """Floating-point operations of one call, as far as operators state them."""
        return self.program.flops

    @property
    def kernels(self) -> tuple[str, ...]:
        return self.program.kernels

    def text(self) -> str:
        return self.program.text()


@dataclass
class _Recording:
    """One signature: its graph, the memory it is bound to, and how to rebuild the result."""

    outputs: tuple[Node, ...]
    updates: tuple[tuple[Node, Node], ...]
    buffers: list[Buffer]
    inputs: list[Buffer]
    tree: Tree
    program: Program
    executable: Executable | None = None

    def __post_init__(self) -> None:
        place = {id(b): i for i, b in enumerate(self.inputs)}
        # For each slot the argument that is bound to it, or the state.
        self._sources = [(place.get(id(b), -1), b) for b in self.buffers]
        sources = [self._sources[slot] for slot in self.program.written]
        self.written = [b for i, b in sources if i < 0]
        self._written_inputs = [i for i, _ in sources if i >= 0]

    def arrays(self, passed: Sequence[Tensor | Array]) -> list[Array]:
        """What each slot of the Program is bound to in a call with these arguments."""
        given = [_array_of(value) for value in passed]
        return [given[i] if i >= 0 else b.array for i, b in self._sources]

    def own(self, passed: list[Tensor | Array]) -> list[Buffer]:
        """What a call with these arguments will write to, in memory that nobody else knows.

        An array among `passed` that would be written to becomes a copy: it is its owner's.
        """
        written = list(self.written)
        for i in self._written_inputs:
            value = passed[i]
            passed[i] = tensor = as_tensor(value).realize()
            written.append(tensor.buffer)
        for buffer in written:
            if buffer.is_shared:
                buffer.own()
        return written


class Jitted(Generic[P, T]):
    """A function under `jit`: called as the function is."""

    def __init__(self, function: Callable[P, T]) -> None:
        self._function = function
        self._recordings: dict[Any, _Recording] = {}
        self._of_arrays: dict[Any, _Recording] = {}
        """By shapes alone, for calls with nothing but tensors and arrays: no look at a nest."""
        functools.update_wrapper(self, function)

    # The function's own signature; and arrays where it says Tensor. A text, a number or a name that
    # does not fit the function fits neither, and type checkers report it.
    @overload
    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    def __call__(
        self, first: Tensor | Array, /, *args: Tensor | Array, **kwargs: Tensor | Array
    ) -> T: ...
    def __call__(self, /, *args: Any, **kwargs: Any) -> T:
        if capture.current() is not None:
            return self._function(*args, **kwargs)
        recording, passed = self._recorded(args, kwargs)
        if recording.executable is None:
            recording.executable = Executable(recording.program, is_replayed=True)
        written = recording.own(passed)
        arrays = recording.arrays(passed)
        _settle_readers(written)
        results = recording.executable.run(arrays)
        for buffer in written:
            buffer.touch()
        result: T = unflatten(recording.tree, [Tensor(Buffer(r)) for r in results])
        return result

    def bound(self, *args: Any, **kwargs: Any) -> tuple[Program, list[Array]]:
        """The Program for these arguments, and a copy of every array that it is bound to."""
        recording, passed = self._recorded(args, kwargs)
        found = recording.arrays(passed)
        copies = [aligned(a.shape, a.dtype) for a in found]
        for copy, array in zip(copies, found, strict=True):
            copy[...] = array
        return recording.program, copies

    def plan(self, *args: Any, **kwargs: Any) -> Plan:
        """The Plan for these arguments, without running anything."""
        return Plan(self._recorded(args, kwargs)[0].program)

    def graph(self, *args: Any, **kwargs: Any) -> tuple[Node, ...]:
        """The recorded outputs, then the new values of the state."""
        recording, _ = self._recorded(args, kwargs)
        return (*recording.outputs, *(value for _, value in recording.updates))

    def arguments(self, *args: Any, **kwargs: Any) -> dict[Node, Array]:
        """The leaves of `graph` that stand for arguments, with the arrays that were passed."""
        recording, arrays = self._recorded(args, kwargs)
        passed = {id(b): _array_of(a) for b, a in zip(recording.inputs, arrays, strict=True)}
        nodes = collect(self.graph(*args, **kwargs))
        leaves = [n for n in nodes if n.op.name == "buffer"]
        return {n: passed[id(n.attrs["buffer"])] for n in leaves if id(n.attrs["buffer"]) in passed}

    def _recorded(self, args: Any, kwargs: Any) -> tuple[_Recording, list[Tensor | Array]]:
        """The recording for these arguments, and the tensors and arrays among them."""
        simple = not kwargs and all(type(a) is Tensor or type(a) is np.ndarray for a in args)
        if simple:
            shapes = tuple([(a.shape, a.dtype) for a in args])
            known = self._of_arrays.get(shapes)
            if known is not None:
                return known, list(args)
        found, tree = flatten((args, kwargs), _is_array)
        tensors = [as_tensor(t) for t in found]
        key = (_hashable(tree), tuple((t.shape, t.dtype) for t in tensors))
        try:
            recording = self._recordings.get(key)
        except TypeError as error:
            remedy = "pass tensors, numbers, strings, or nested tuples, lists and dicts of them"
            raise CaptureError(
                explain("jit", f"an argument is not hashable: {error}", remedy=remedy)
            ) from None
        if recording is None:
            recording = self._recordings[key] = _record(self._function, tree, tensors)
            if len(self._recordings) == MANY_SIGNATURES:
                name = getattr(self._function, "__name__", "function")
                warnings.warn(
                    f"jit: {name} was recorded for {MANY_SIGNATURES} different signatures; pass "
                    "what changes as a tensor, and keep shapes equal",
                    stacklevel=3,
                )
        if simple:
            self._of_arrays[shapes] = recording
        return recording, list(tensors)


def jit(function: Callable[P, T]) -> Jitted[P, T]:
    """`function` recorded at its first call for each signature and replayed from then on.

    A signature is the shapes and dtypes of tensor arguments and the values of all others.
    Errors: CaptureError where the function reads a value while it is recorded.
    """
    return Jitted(function)


def _is_array(value: Any) -> bool:
    return isinstance(value, (Tensor, np.ndarray))


def _array_of(value: Tensor | Array) -> Array:
    """The memory of an argument; an array in order is read where it stands.

    Making a tensor of it first took 30 of the 200 µs that a token of a small model takes.
    """
    if isinstance(value, Tensor):
        return value.array
    if value.flags.c_contiguous and value.flags.aligned and value.dtype.isnative:
        return value
    return Buffer.of(value).array


def _hashable(tree: Tree) -> Any:
    """The nest as a key; 1, 1.0 and True are different."""
    return (
        tree.kind,
        tree.keys,
        tuple(map(_hashable, tree.children)),
        type(tree.value),
        tree.value,
    )


def _record(function: Callable[..., Any], tree: Tree, tensors: list[Tensor]) -> _Recording:
    with capturing() as recording:
        inputs = [Buffer(aligned(t.shape, t.dtype)) for t in tensors]
        args, kwargs = unflatten(tree, [Tensor(b) for b in inputs])
        try:
            result = function(*args, **kwargs)
            found, out_tree = flatten(result, lambda v: isinstance(v, Tensor))
            outputs = tuple(t.node for t in found)
        finally:
            _restore_gradients(recording)
        updates = tuple(recording.updates())
    nodes = collect([*outputs, *(v for _, v in updates), *(leaf for leaf, _ in updates)])
    leaves = [n for n in nodes if n.op.name == "buffer"]
    buffers = [n.attrs["buffer"] for n in leaves]
    slots = [slot_leaf(n.aval, i) for i, n in enumerate(leaves)]
    replaced = substitute(
        [*outputs, *(v for _, v in updates)], dict(zip(leaves, slots, strict=True))
    )
    place = dict(zip(leaves, slots, strict=True))
    pairs = [
        (place[leaf], v) for (leaf, _), v in zip(updates, replaced[len(outputs) :], strict=True)
    ]
    program = compile_graph(replaced[: len(outputs)], pairs, slots, generate=True)
    return _Recording(outputs, updates, buffers, inputs, out_tree, program)


def _restore_gradients(recording: Capture) -> None:
    """`.grad` as before; a gradient that existed is state, and takes the recorded value."""
    for tensor, before in recording.gradients.values():
        after = tensor._grad
        tensor._grad = before
        if before is not None and after is not None and after is not before:
            recording.assign(before.buffer, after.node)


def _settle_readers(written: list[Buffer]) -> None:
    """Computes the tensors that still read memory which is about to change."""
    if not written or not capture.pending:
        return
    changing = set(map(id, written))
    for tensor in list(capture.pending.values()):
        leaves = collect([tensor.node])
        if any(n.op.name == "buffer" and id(n.attrs["buffer"]) in changing for n in leaves):
            tensor.realize()
