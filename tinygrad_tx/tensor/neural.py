"""The functions that neural networks are made of."""

from __future__ import annotations

from tinygrad_tx.dtypes import int64
from tinygrad_tx.shapes import axis_of, size_of
from tinygrad_tx.tensor.reductions import sum as total_of
from tinygrad_tx.tensor.shape import moveaxis, reshape
from tinygrad_tx.tensor.tensor import Tensor, TensorLike, as_tensor, build

__all__ = ["cross_entropy", "layer_norm", "log_softmax", "rms_norm", "softmax"]


def _along(name: str, x: TensorLike, axis: int) -> Tensor:
    x = as_tensor(x)
    at = axis_of(axis, x.ndim, name)
    if at == x.ndim - 1:
        result: Tensor = build(name, x)
        return result
    return moveaxis(build(name, moveaxis(x, at, -1)), -1, at)


def softmax(x: TensorLike, axis: int = -1) -> Tensor:
    """Exponentials along `axis`, divided by their sum."""
    return _along("softmax", x, axis)


def log_softmax(x: TensorLike, axis: int = -1) -> Tensor:
    """The logarithm of softmax, without overflow."""
    return _along("log_softmax", x, axis)


def layer_norm(
    x: TensorLike, weight: TensorLike, bias: TensorLike, epsilon: float = 1e-5
) -> Tensor:
    """Layer normalisation over the last axis; weight and bias (width,). Ba et al. 2016, eq. 4."""
    inputs = (as_tensor(x), as_tensor(weight), as_tensor(bias))
    result: Tensor = build("layer_norm", *inputs, epsilon=float(epsilon))
    return result


def rms_norm(x: TensorLike, weight: TensorLike, epsilon: float = 1e-5) -> Tensor:
    """Root-mean-square normalisation over the last axis. Zhang and Sennrich 2019, eq. 4."""
    result: Tensor = build("rms_norm", as_tensor(x), as_tensor(weight), epsilon=float(epsilon))
    return result


def cross_entropy(
    logits: TensorLike,
    targets: TensorLike,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Negative log-likelihood in nats of integer targets.

    Shapes: logits (..., vocab), targets (...). reduction: "mean" (over what is not ignored),
    "sum" or "none". Errors: IndexRangeError for a target outside the vocabulary.
    """
    scores, labels = as_tensor(logits), as_tensor(targets)
    vocab = scores.shape[-1] if scores.ndim else 0
    rows = size_of(scores.shape[:-1])
    flat = reshape(scores, (rows, vocab))
    losses: Tensor = build(
        "cross_entropy", flat, reshape(labels, (labels.size,)), ignore_index=ignore_index
    )
    if reduction == "none":
        return reshape(losses, labels.shape)
    total = total_of(losses)
    if reduction == "sum":
        return total
    if reduction != "mean":
        raise ValueError(f"cross_entropy: reduction {reduction!r} is not mean, sum or none.")
    kept = total_of((labels != ignore_index).astype(int64)).astype(scores.dtype)
    return total / kept
