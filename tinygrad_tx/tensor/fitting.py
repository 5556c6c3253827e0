"""What attention and cross-entropy are given, checked in the words of whoever gives it."""

from __future__ import annotations

import warnings

from tinygrad_tx.dtypes import bool_, is_integer
from tinygrad_tx.errors import DTypeError, ShapeError, explain
from tinygrad_tx.graph.place import levels_to_user
from tinygrad_tx.shapes import Shape, broadcast_shapes
from tinygrad_tx.tensor.tensor import Tensor

__all__ = ["check_classes", "check_heads", "check_scores"]


def check_classes(logits: Tensor, targets: Tensor) -> None:
    """Errors: ShapeError, DTypeError. Warns of logits that are probabilities."""
    made = [("logits", logits.node.where), ("targets", targets.node.where)]
    if not is_integer(targets.dtype):
        what = f"targets are {targets.dtype}{list(targets.shape)}, not the number of each class"
        remedy = "use astype(tx.int64); of rows with a 1 for the class argmax(axis=-1)"
        raise DTypeError(explain("cross_entropy", what, made=made, remedy=remedy))
    if logits.shape[:-1] != targets.shape or not logits.shape:
        what = f"logits {logits.shape} need targets {logits.shape[:-1]}, got {targets.shape}"
        remedy = "one target for each row of logits; classes are the last axis"
        if logits.ndim > 1 and (logits.shape[0], *logits.shape[2:]) == targets.shape:
            remedy = "classes are the last axis here: tx.moveaxis(logits, 1, -1)"
        raise ShapeError(explain("cross_entropy", what, made=made, remedy=remedy))
    if logits.node.op.name == "softmax":
        what = "the logits come out of softmax, which cross_entropy takes once more"
        remedy = "pass what went into softmax: gradients are small and losses too high otherwise"
        text = explain("cross_entropy", what, made=made, remedy=remedy)
        warnings.warn(text, stacklevel=levels_to_user())


def check_heads(q: Tensor, k: Tensor, v: Tensor) -> None:
    """Errors: ShapeError."""
    shapes = f"q {q.shape}, k {k.shape}, v {v.shape}"
    what = remedy = ""
    if q.ndim < 3 or not q.ndim == k.ndim == v.ndim:
        what = f"{shapes} are not all (..., heads, time, width)"
        remedy = "q[None] has one head; a projection becomes heads by reshape and swapaxes"
    elif k.shape[-3] != v.shape[-3] or not k.shape[-3] or q.shape[-3] % k.shape[-3]:
        what = f"heads of k and v must divide those of q: {shapes}"
        remedy = (
            "the axes are (..., heads, time, width): of (batch, time, heads, width) swapaxes(1, 2)"
        )
    elif k.shape[-2] != v.shape[-2]:
        what = f"each key has a value: {shapes}"
        remedy = "k and v are of the same time"
    elif q.shape[-1] != k.shape[-1]:
        what = f"queries and keys are of different widths: {shapes}"
        remedy = "project both to one width"
    if what:
        made = [("q", q.node.where), ("k", k.node.where), ("v", v.node.where)]
        raise ShapeError(explain("attention", what, made=made, remedy=remedy))


def check_scores(name: str, given: Tensor, shape: Shape) -> None:
    """Errors: ShapeError, DTypeError for a mask or a bias that does not fit scores of `shape`."""
    made = [(name, given.node.where)]
    if name == "mask" and given.dtype != bool_:
        what = f"mask is {given.dtype}, not bool"
        remedy = (
            "true means: may be attended to, as mask != 0 of ones and zeros; what is added to the "
            "scores, as minus infinity, is bias="
        )
        raise DTypeError(explain("attention", what, made=made, remedy=remedy))
    if broadcast_shapes(given.shape, shape) != shape:
        sizes = ("heads", "queries", "keys")
        words = ", ".join(f"{w} {n}" for w, n in zip(sizes, shape[-3:], strict=True))
        what = f"{name} {given.shape} does not broadcast to (..., {words})"
        remedy = (
            "of (batch, keys) give mask[:, None, None]; of (batch, queries, keys) mask[:, None]"
        )
        raise ShapeError(explain("attention", what, made=made, remedy=remedy.replace("mask", name)))
