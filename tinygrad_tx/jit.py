"""jit: a function recorded once for each signature, planned once, then replayed.

Whatever memory the function reads from outside is state; assignments to it become part of the
Program, and take effect only if the whole step succeeded.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, TypeVar, overload

import numpy as np

from tinygrad_tx import capture
from tinygrad_tx.capture import Capture, capturing
from tinygrad_tx.compiler.pipeline import compile_graph
from tinygrad_tx.compiler.program import KernelStep, Program, Step
from tinygrad_tx.errors import ArgumentError, CaptureError, explain
from tinygrad_tx.graph.lowering import Kernel
from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.walk import collect, substitute
from tinygrad_tx.missing import knows_arguments
from tinygrad_tx.runtime.buffer import Array, Buffer, aligned
from tinygrad_tx.runtime.evaluate import slot_leaf
from tinygrad_tx.runtime.execute import Executable
from tinygrad_tx.runtime.kernels import assembly_of, source_of
from tinygrad_tx.tensor.tensor import Tensor, as_tensor
from tinygrad_tx.tree import Tree, flatten, unflatten

__all__ = ["Jitted", "Plan", "jit"]

MANY_SIGNATURES = 16
_PLAIN = frozenset((Tensor, np.ndarray))

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        work, memory = self.flops / 1e6, self.peak_bytes / 1e6
        return (
            f"Plan ({len(self.kernels)} kernels, {work:,.3g} MFLOP, {memory:,.3g} MB at its peak)"
        )

    def source(self, kernel: str) -> str:
        """The Python of one of `kernels`: generated, or written by hand."""
        return source_of(self._kernel(kernel))

    def assembly(self, kernel: str) -> str:
        """What the CPU runs for one of `kernels`, as assembler."""
        return assembly_of(self._kernel(kernel))

    def _kernel(self, name: str) -> Kernel:
        for step in self.program.steps:
            for found in _kernels_of(step):
                if found.name == name:
                    return found
        what = f"no kernel of this plan is called {name!r}"
        raise KeyError(explain("plan", what, remedy=f"one of {', '.join(self.kernels)}"))


@dataclass
class _Recording:
    """One signature: its graph, the memory it is bound to, and how to rebuild the result."""

    outputs: tuple[Node, ...]
    updates: tuple[tuple[Node, Node], ...]
    buffers: list[Buffer]
    inputs: list[Buffer]
    tree: Tree
    program: Program
    modes: tuple[tuple[Any, bool], ...] = ()
    """Modules that must be in training, or not, as they were: else they compute something else."""
    executable: Executable | None = None

    def __post_init__(self) -> None:
        place = {id(b): i for i, b in enumerate(self.inputs)}
        # For each slot the argument that is bound to it, or the state.
        self._sources = [(place.get(id(b), -1), b) for b in self.buffers]
        sources = [self._sources[slot] for slot in self.program.written]
        self.written = [b for i, b in sources if i < 0]
        self._written_inputs = [i for i, _ in sources if i >= 0]
        self._checked = -1

    def holds(self) -> bool:
        """Whether all modules are in the mode in which they were recorded."""
        now = capture.mode_changes()
        if self._checked != now and all(m.training == mode for m, mode in self.modes):
            self._checked = now
        return self._checked == now

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
        self._recordings: dict[Any, list[_Recording]] = {}
        """By signature; several where modules have been in several modes."""
        self._of_arrays: dict[Any, _Recording] = {}
        """By shapes alone, for calls with nothing but tensors and arrays: no look at a nest."""
        functools.update_wrapper(self, function)

    def __repr__(self) -> str:
        name = getattr(self._function, "__qualname__", type(self._function).__name__)
        return f"jit of {name} (recordings: {len(self._recordings)})"

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
        simple = not kwargs and _PLAIN.issuperset(map(type, args))
        if simple:
            shapes = tuple([(a.shape, a.dtype) for a in args])
            known = self._of_arrays.get(shapes)
            if known is not None and known.holds():
                return known, list(args)
        found, tree = flatten((args, kwargs), _is_array)
        tensors = [as_tensor(t) for t in found]
        key = (_hashable(tree), tuple((t.shape, t.dtype) for t in tensors))
        try:
            recordings = self._recordings.setdefault(key, [])
        except TypeError as error:
            remedy = "pass tensors, numbers, strings, or nested tuples, lists and dicts of them"
            raise CaptureError(
                explain("jit", f"an argument is not hashable: {error}", remedy=remedy)
            ) from None
        recording = next((r for r in recordings if r.holds()), None)
        if recording is None:
            recording = _record(self._function, tree, tensors)
            recordings.append(recording)
            if len(self._recordings) == MANY_SIGNATURES and len(recordings) == 1:
                name = getattr(self._function, "__name__", "function")
                what = f"{name} was recorded for {MANY_SIGNATURES} different signatures"
                remedy = "pass what changes as a tensor, and keep shapes equal"
                warnings.warn(explain("jit", what, remedy=remedy), stacklevel=3)
        if simple:
            self._of_arrays[shapes] = recording
        return recording, list(tensors)


@knows_arguments
def jit(function: Callable[P, T]) -> Jitted[P, T]:
    """`function` recorded at its first call for each signature and replayed from then on.

    A signature is the shapes and dtypes of tensor arguments and the values of all others.
    It is recorded anew where a module that it calls has been put into training or evaluation.
    Errors: CaptureError where the function reads a value while it is recorded.
    """
    if not callable(function):
        what = f"takes a function, not a {type(function).__name__}"
        raise ArgumentError(explain("jit", what, remedy="write tx.jit(function)(x)"))
    return Jitted(function)


def _kernels_of(step: Step) -> Iterator[Kernel]:
    """The kernel of a step, and those that it calls."""
    if isinstance(step, KernelStep):
        yield step.kernel
        yield from (o for o in step.operands if isinstance(o, Kernel))


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
    modes = tuple(recording.modes.values())
    return _Recording(outputs, updates, buffers, inputs, out_tree, program, modes)


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
