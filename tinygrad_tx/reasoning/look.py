"""Look: a model run once while points of it are captured and changed, all in one graph.

`capture`, `intervene` and every method of this package stand on `look`: it runs the model, opens
the operators that hold what is asked for, and rewrites the graph. Under `tx.jit` that happens while
the function is recorded, so that a captured value is one more result of one compiled Program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_tx import capture as captures
from tinygrad_tx.autodiff import reverse
from tinygrad_tx.errors import ArgumentError, GraphError, PointError, ShapeError, explain
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.walk import collect
from tinygrad_tx.nn import Module
from tinygrad_tx.reasoning.change import Change, Place, as_change
from tinygrad_tx.reasoning.point import Point, matching, opened_at, points_of
from tinygrad_tx.runtime.evaluate import evaluate
from tinygrad_tx.tensor import Tensor, no_grad
from tinygrad_tx.tensor.tensor import as_tensor
from tinygrad_tx.tree import flatten, unflatten

__all__ = ["Activations", "Changes", "capture", "gradients", "intervene", "look", "points"]

Model = Module | Callable[..., Any]
Patterns = str | Sequence[str]
Changes = Mapping[str, Any]
"""For each point (path or glob) a value, a function of the tensor there, or a `Change`."""


class Activations(Mapping[str, Tensor]):
    """What was captured, by path, in the order of computation. output: what the model returned."""

    def __init__(
        self, values: Mapping[str, Tensor], points: Mapping[str, Point], output: Any
    ) -> None:
        self._values = dict(values)
        self.points = dict(points)
        self.output = output

    def __getitem__(self, path: str) -> Tensor:
        if path not in self._values:
            matching([path], self._values)  # raises, and offers the nearest
        return self._values[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def at(self, *patterns: str) -> Activations:
        """Those that the patterns name. Errors: PointError."""
        paths = matching(patterns, self._values)
        chosen = {p: self._values[p] for p in paths}
        return Activations(chosen, {p: self.points[p] for p in paths}, self.output)

    def numpy(self) -> dict[str, np.ndarray[Any, Any]]:
        """All values, as read-only arrays."""
        return {path: value.numpy() for path, value in self.items()}

    def __repr__(self) -> str:
        return "\n".join(["Activations", *(f"  {p}" for p in self.points.values())])


def points(model: Model, *inputs: Any) -> dict[str, Point]:
    """Every named point of a model, with axes and shapes, in the order of computation.

    inputs: what it is called with; `model.example()` if not given. Nothing is computed. Points
    inside of fused operators (scores, pattern, context, scale) are among them.
    """
    if not inputs:
        if not hasattr(model, "example"):
            raise GraphError(explain("points", "no inputs are given", remedy="points(model, x)"))
        inputs = model.example()
    with no_grad(), captures.capturing():
        output = model(*(as_tensor(i) if isinstance(i, np.ndarray) else i for i in inputs))
        nodes = [t.node for t in flatten(output, _is_tensor)[0]]
        return {path: p for path, (p, _) in points_of(opened_at(nodes, ["*"])).items()}


def capture(model: Model, inputs: Any, at: Patterns = "*") -> Activations:
    """The model run on `inputs`, with the values at the points that `at` names.

    model: a module, or any function of tensors (as `model.loss`). inputs: its argument, or a tuple
    of them. at: paths or globs, as "blocks.*.attention.pattern". The values are nodes of the
    graph: exact, differentiable (see `gradients`), and part of one Program under `tx.jit`. What is
    not asked for is computed as ever. Errors: PointError for a name that matches nothing.
    """
    return look(model, inputs, at)


def intervene(model: Model, inputs: Any, changes: Changes) -> Any:
    """What the model returns for `inputs` when its values at the points are others.

    changes: for each point (path or glob) a value that takes its place (it broadcasts), a function
    of the tensor, or what `replace`, `add`, `scale`, `zero` made, which say where: at which
    positions, heads, units. All that is computed from the point sees the new value. Errors:
    PointError for a name that matches nothing, ShapeError for a value that does not fit.
    """
    return look(model, inputs, (), changes).output


def look(
    model: Model, inputs: Any, at: Patterns = (), changes: Changes | None = None
) -> Activations:
    """`capture` and `intervene` in one run: the values captured are those after the changes."""
    if changes is not None and not isinstance(changes, Mapping):
        what = f"changes are a {type(changes).__name__}, not a mapping"
        remedy = "give {point: value}, or {point: function}"
        raise ArgumentError(explain("intervene", what, remedy=remedy))
    args = inputs if isinstance(inputs, tuple) else (inputs,)
    return looked(model, args, at, tuple((changes or {}).items()))


def gradients(value: Tensor, activations: Activations) -> Activations:
    """The derivatives of a number (or of a sum of all elements) by what was captured with it.

    Total derivatives: those by an early point also go through the later ones. Points that it does
    not depend on have zeros.
    """
    b = Builder()
    nodes = [activations[path].node for path in activations]
    found = reverse([value.node], [b.full(value.shape, 1, value.dtype)], nodes, through=True)
    given = zip(activations.items(), found, strict=True)
    values = {
        path: Tensor(b.full(t.shape, 0, t.dtype) if g is None else g) for (path, t), g in given
    }
    settle(values.values())
    return Activations(values, activations.points, value)


def looked(
    model: Model,
    args: Sequence[Any],
    at: Patterns,
    changes: Sequence[tuple[str, Any]],
    place: Place = None,
    known: Callable[[Sequence[str], Mapping[str, object]], list[str]] = matching,
) -> Activations:
    """`look`, for callers that change a point more than once (`changes`, in order), and that say
    where in a text that is being written the first token stands (`place`) and what is done with
    names that match nothing (`known`)."""
    args, tree = flatten(tuple(args), _is_array)
    tensors = [as_tensor(a) for a in args]
    recording = captures.current()
    before = dict(recording.values) if recording is not None else {}
    stop = frozenset([*(t.node for t in tensors), *before.values()])
    output = model(*unflatten(tree, tensors))
    results, out_tree = flatten(output, _is_tensor)
    after = dict(recording.values) if recording is not None else {}
    written = {
        b: n
        for b, n in after.items()
        if n is not before.get(b) and recording is not None and n is not recording.leaves.get(b)
    }
    patterns = [at] if isinstance(at, str) else list(at)
    names = [*patterns, *(name for name, _ in changes)]
    nodes = opened_at([*(r.node for r in results), *written.values()], names, stop)
    named = points_of(nodes, stop)
    try:
        asked = known(patterns, named)
        wanted = _wanted(changes, named, known)
    except PointError:  # what is nearest may stand inside of a fused operator
        known(names, points_of(opened_at(nodes, ["*"], stop)))
        raise
    nodes, changed = _rewritten(nodes, named, wanted, stop, place)
    if recording is not None:
        for buffer, node in zip(written, nodes[len(results) :], strict=True):
            recording.assign(buffer, node)
    keep = any(r.requires_grad for r in results) or _asks(tensors)
    values = {p: Tensor(changed.get(named[p][1], named[p][1]), keep) for p in asked}
    outputs = [Tensor(n, r.requires_grad) for n, r in zip(nodes, results, strict=False)]
    settle([*values.values(), *outputs])
    found = {p: named[p][0] for p in asked}
    return Activations(values, found, unflatten(out_tree, outputs))


def settle(tensors: Any) -> None:
    """Computes all of these in one run, unless they are being recorded."""
    tensors = list(tensors)
    if captures.current() is None:
        evaluate([t.node for t in tensors])
        for tensor in tensors:
            tensor.realize()


def _asks(tensors: Sequence[Tensor]) -> bool:
    return any(t.requires_grad for t in tensors)


def _wanted(
    changes: Sequence[tuple[str, Any]],
    named: Mapping[str, tuple[Point, Node]],
    known: Callable[[Sequence[str], Mapping[str, object]], list[str]],
) -> dict[Node, list[tuple[Point, Change]]]:
    """For each point the changes that are made there, in the order in which they were given."""
    wanted: dict[Node, list[tuple[Point, Change]]] = {}
    for pattern, given in changes:
        for path in known([pattern], named):
            point, node = named[path]
            wanted.setdefault(node, []).append((point, as_change(given)))
    return wanted


def _rewritten(
    outputs: Sequence[Node],
    named: Mapping[str, tuple[Point, Node]],
    wanted: Mapping[Node, Sequence[tuple[Point, Change]]],
    stop: frozenset[Node],
    place: Place,
) -> tuple[tuple[Node, ...], dict[Node, Node]]:
    """The graph with the changes made, and for each point that moved what it is now."""
    if not wanted:
        return tuple(outputs), {}
    new: dict[Node, Node] = {n: n for n in stop}
    every = [*outputs, *(node for _, node in named.values())]
    for node in collect(every, stop=stop.__contains__):
        if node in new:
            continue
        moved = Builder(node.scope, node.where).rebuild(node, tuple(new[i] for i in node.inputs))
        for point, change in wanted.get(node, ()):
            moved = _changed(moved, point, change, place)
        new[node] = moved
    points_now = {node: new[node] for _, node in named.values()}
    return tuple(new[o] for o in outputs), points_now


def _changed(node: Node, point: Point, change: Change, place: Place) -> Node:
    value = change(Tensor(node), point, place)
    if not isinstance(value, Tensor) or value.shape != node.shape or value.dtype != node.dtype:
        found = f"{value.dtype}{list(value.shape)}" if isinstance(value, Tensor) else repr(value)
        raise ShapeError(
            explain(
                "intervene",
                f"the new value of {point} is {found}",
                made=[("the point", node.where)],
                remedy="give a value of the point's own shape and dtype",
            )
        )
    return value.node


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)


def _is_array(value: Any) -> bool:
    return isinstance(value, (Tensor, np.ndarray))
