"""The overlay "gradients": how large the gradient is at each box, of its weights and its output."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from typing import Any

import numpy as np

from tinygrad_tx.autodiff import reverse
from tinygrad_tx.errors import DrawError, explain
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.walk import collect, rewrite
from tinygrad_tx.nn import Module
from tinygrad_tx.runtime.evaluate import slot_leaf
from tinygrad_tx.tensor.tensor import Tensor, as_tensor, no_grad
from tinygrad_tx.tree import flatten
from tinygrad_tx.viz.facts import parameters_of
from tinygrad_tx.viz.picture import Picture
from tinygrad_tx.viz.readings import Reading, heats, read_into, spread
from tinygrad_tx.viz.scene import Scalar, Scene
from tinygrad_tx.viz.subject import Subject

__all__ = ["gradients_at", "subject_of", "with_gradients"]

_SUM = "the sum of the outputs"


def with_gradients(picture: Picture, scene: Scene) -> Picture:
    """The picture with L2 norms of the gradient of `scene.scalar`, at the weights of each box
    (taken together) and at what it gives out; heat by the latter.

    Gradients that are 0 or not finite are marked. A weight that two boxes read counts in both.
    Errors: DrawError where nothing here has a gradient.
    """
    leaving = scene.leaving()
    weights = {place: parameters_of(nodes, scene.names) for place, nodes in scene.places()}
    real = [n for n in scene.scalar.nodes if n.dtype.kind == "f"]
    wanted = [n for nodes in (*leaving.values(), *weights.values()) for n in nodes]
    gradients = gradients_at(real, list(dict.fromkeys(wanted)))
    if not gradients:
        raise DrawError(explain("draw", "overlay gradients: nothing here has a gradient"))
    squares: dict[Node, float] = {}
    for node, value in scene.values(list(gradients.values())):
        squares[node] = float(np.square(value, dtype=np.float64).sum())
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for kind, places in (("weights", weights), ("output", leaving)):
        for (key, _), nodes in places.items():
            parts = [squares[gradients[n]] for n in nodes if n in gradients]
            if parts:
                found[key][kind].append(float(np.sqrt(sum(parts))))
    shown, scale = heats({k: max(v.get("output") or v["weights"]) for k, v in found.items()})
    readings = {key: _reading(norms, shown[key]) for key, norms in found.items()}
    note = f"gradient of {scene.scalar.name}, L2 norms; colour: ‖∇ output‖, {scale}"
    return read_into(picture, readings, note)


def _reading(norms: Mapping[str, Sequence[float]], heat: float) -> Reading:
    lines, every = [], [n for values in norms.values() for n in values]
    facts = []
    for kind, values in norms.items():
        lines.append(f"‖∇ {kind}‖: {spread(values)}")
        facts.append((f"gradient of {kind}", ", ".join(f"{v:.4g}" for v in values)))
    wrong = not np.isfinite(every).all()
    if wrong:
        lines.append("gradient not finite")
    elif 0.0 in every:
        lines.append("gradient vanishes")
    brief = spread(norms["output"]) if "output" in norms else ""
    return Reading(tuple(lines), brief, tuple(facts), heat, marked=wrong or 0.0 in every)


def gradients_at(outputs: Sequence[Node], nodes: Sequence[Node]) -> dict[Node, Node]:
    """The gradient of the sum of `outputs` at each of `nodes` that it depends on.

    One walk for all of them, also where one is computed from another: to each is added a leaf of
    its own, which stands for zero, and the gradient at the leaf is that at the node.
    """
    leaves = {n: slot_leaf(n.aval, i) for i, n in enumerate(nodes) if n.dtype.kind == "f"}
    own = {leaf: node for node, leaf in leaves.items()}
    stirred: dict[Node, Node] = {}
    for node in collect(outputs):
        b = Builder(node.scope, node.where)
        moved = b.rebuild(node, tuple(stirred[i] for i in node.inputs))
        stirred[node] = b.add(moved, leaves[node]) if node in leaves else moved
    sums = [stirred[o] for o in outputs]
    seeds = [Builder().full(o.shape, 1.0, o.dtype) for o in sums]
    found = reverse(sums, seeds, list(leaves.values()))
    pairs = [(node, g) for node, g in zip(leaves, found, strict=True) if g is not None]

    def unstirred(b: Builder, node: Node) -> Node | None:
        del b
        is_ours = node.op.name == "add" and node.inputs[1] in own
        return node.inputs[0] if is_ours else None

    plain = rewrite([g for _, g in pairs], unstirred)
    return {node: g for (node, _), g in zip(pairs, plain, strict=True)}


def subject_of(target: Any, inputs: Sequence[Any]) -> tuple[Subject, Scalar]:
    """What is drawn, and the scalar whose gradients are asked for.

    That is `model.loss(*inputs)` where there is one, the inputs are enough and it is computed from
    what the model gives for those that it takes itself; else the sum of the outputs.
    """
    names = _loss_arguments(target, inputs)
    if names is None:
        subject = Subject(target, inputs)
        return subject, Scalar(subject.nodes, _SUM)
    # Tensors, so that the model and its loss read the same leaves.
    tensors = [as_tensor(value) for value in inputs]
    subject = Subject(target, _of_forward(target, tensors, names))
    loss, results = _loss_and_outputs(target, tensors)
    alike = [tuple(n.aval for n in nodes) for nodes in (*results, subject.nodes)]
    if loss is None or loss.ndim or len(results) != 1 or alike[0] != alike[1]:
        return subject, Scalar(subject.nodes, f"{_SUM} (model.loss reads others)")
    # Drawn is what the loss was computed from: another call draws other random numbers.
    subject.nodes = results[0]
    return subject, Scalar([loss.node], f"model.loss({', '.join(names)})")


def _loss_and_outputs(
    model: Any, inputs: Sequence[Tensor]
) -> tuple[Tensor | None, list[list[Node]]]:
    """The loss of a model, and the results of each call of the model inside it."""
    results: list[list[Node]] = []
    forward = model.forward

    def watched(*args: Any, **kwargs: Any) -> Any:
        result = forward(*args, **kwargs)
        found, _ = flatten(result, lambda v: isinstance(v, Tensor))
        results.append([t.node for t in found])
        return result

    before = vars(model).get("forward")
    model.forward = watched
    try:
        with no_grad():
            loss = model.loss(*inputs)
    finally:
        del model.forward
        if before is not None:
            model.forward = before
    return loss if isinstance(loss, Tensor) else None, results


def _of_forward(model: Module, inputs: Sequence[Any], names: Sequence[str]) -> Sequence[Any]:
    """Those of the inputs of a loss that the model itself takes: its first, by their names."""
    if _fits(model.forward, inputs):
        return inputs
    own = list(inspect.signature(model.forward).parameters)
    shared = sum(
        1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(own, names, strict=False))
    )
    return inputs[:shared]


def _loss_arguments(target: Any, inputs: Sequence[Any]) -> list[str] | None:
    """The names of the arguments of a model's loss that `inputs` are; None if they are not."""
    loss = getattr(target, "loss", None)
    if not isinstance(target, Module) or not callable(loss) or not _fits(loss, inputs):
        return None
    return list(inspect.signature(loss).parameters)[: len(inputs)]


def _fits(function: Callable[..., Any], inputs: Sequence[Any]) -> bool:
    try:
        inspect.signature(function).bind(*inputs)
    except TypeError:
        return False
    return True
