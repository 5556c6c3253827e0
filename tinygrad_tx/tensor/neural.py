"""The functions that neural networks are made of."""

from __future__ import annotations

from tinygrad_tx.dtypes import DType
from tinygrad_tx.errors import ArgumentError, explain
from tinygrad_tx.shapes import Shape, axis_of, size_of
from tinygrad_tx.tensor import random
from tinygrad_tx.tensor.elementwise import astype, where
from tinygrad_tx.tensor.fitting import check_classes, check_heads, check_scores
from tinygrad_tx.tensor.reductions import sum as total_of
from tinygrad_tx.tensor.shape import broadcast_to, moveaxis, reshape
from tinygrad_tx.tensor.tensor import Tensor, TensorLike, as_tensor, build

__all__ = [
    "attention",
    "cached_attention",
    "cross_entropy",
    "layer_norm",
    "log_softmax",
    "point",
    "require_finite",
    "rms_norm",
    "softmax",
    "stop_gradient",
    "write_rows",
]


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
    check_classes(scores, labels)
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
        what = f"reduction {reduction!r} is not one of mean, sum, none"
        raise ArgumentError(explain("cross_entropy", what))
    # Counted in the dtype of the scores: whole numbers are exact there up to 2^24.
    kept = total_of((labels != ignore_index).astype(scores.dtype))
    return total / kept


def attention(
    q: TensorLike,
    k: TensorLike,
    v: TensorLike,
    *,
    mask: TensorLike = None,
    causal: bool = False,
    bias: TensorLike = None,
    scale: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """softmax(q k^T scale + bias) v for each head. Vaswani et al. 2017, equation 1.

    Shapes: q (..., heads, queries, width), k and v (..., kv_heads, keys, width) where kv_heads
    divides heads; mask (bool, true: may attend) and bias broadcast to (..., heads, queries, keys).
    Causal queries are aligned to the end of the keys. scale: 1/sqrt(width) if not given.
    dropout: probability with which each weight of the pattern is dropped. Errors: ShapeError,
    DTypeError.
    """
    q, k, v = as_tensor(q), as_tensor(k), as_tensor(v)
    check_heads(q, k, v)
    if not 0 <= dropout < 1:
        what = f"dropout is {dropout}, not at least 0 and below 1"
        raise ArgumentError(explain("attention", what, remedy="0.1 drops a tenth"))
    shape = (*q.shape[:-1], k.shape[-2])
    extras = [] if bias is None and mask is None else [_score_bias(mask, bias, shape, q.dtype)]
    factor = q.shape[-1] ** -0.5 if scale is None else float(scale)

    def attend(*state: Tensor, offset: int = 0) -> Tensor:
        rest = (*extras, *state)
        out: Tensor = build(
            "attention",
            q,
            k,
            v,
            *rest,
            causal=causal,
            scale=factor,
            extras=len(rest),
            dropout=float(dropout),
            offset=offset,
        )[0]
        return out

    if dropout == 0:
        return attend()
    generator = random.default
    return generator.draw(
        lambda counter, offset: attend(generator.seed, counter, offset=offset),
        -(-size_of(shape) // 4),
    )


def cached_attention(
    q: TensorLike,
    k: TensorLike,
    v: TensorLike,
    keys: TensorLike,
    values: TensorLike,
    lengths: TensorLike,
    *,
    bias: TensorLike = None,
    scale: float | None = None,
) -> Tensor:
    """Attention of new tokens to themselves, causally, and to those whose keys were kept.

    Shapes: q (batch, heads, time, width), k and v (batch, kv_heads, time, width) of the new tokens;
    keys and values (batch, kv_heads, context, width), of which sequence b has lengths[b] rows; bias
    broadcasts to (batch, heads, time, context), by place. Errors: ShapeError, DTypeError;
    IndexRangeError where new tokens stand beyond the context.
    """
    given = [as_tensor(x) for x in (q, k, v, keys, values, lengths)]
    new = given[0]
    shape = (*new.shape[:3], given[3].shape[-2])
    extra = [] if bias is None else [broadcast_to(astype(bias, new.dtype), shape)]
    factor = new.shape[-1] ** -0.5 if scale is None else float(scale)
    result: Tensor = build("cached_attention", *given, *extra, scale=factor)
    return result


def write_rows(x: TensorLike, rows: TensorLike, lengths: TensorLike) -> Tensor:
    """`x` with `rows` from place lengths[b] on in each sequence b; what would stand beyond is cut.

    Shapes: x (batch, heads, context, width), rows (batch, heads, time, width), lengths (batch,).
    """
    result: Tensor = build("write_rows", as_tensor(x), as_tensor(rows), as_tensor(lengths))
    return result


def _score_bias(mask: TensorLike, bias: TensorLike, shape: Shape, dtype: DType) -> Tensor:
    """What is added to the scores: minus infinity where the mask forbids; a view of `shape`."""
    for name, given in (("mask", mask), ("bias", bias)):
        if given is not None:
            check_scores(name, as_tensor(given), shape)
    if mask is None:
        return broadcast_to(astype(bias, dtype), shape)
    # Constants and not memory: whoever looks for a NaN knows this infinity by them.
    zero, none = (as_tensor(value, dtype) for value in (0.0, float("-inf")))
    allowed = where(mask, zero if bias is None else bias, none)
    return broadcast_to(astype(allowed, dtype), shape)


def stop_gradient(x: TensorLike) -> Tensor:
    """The same values, constant for differentiation of any kind."""
    result: Tensor = build("stop_gradient", as_tensor(x), keep=False)
    return result


def point(x: TensorLike, name: str, axes: tuple[str, ...] = ()) -> Tensor:
    """The same values under a name, by which drawings and whoever looks inside can ask for them.

    axes: names of the last axes, as ("heads", "time", "width"). It costs nothing unless asked for.
    """
    result: Tensor = build("point", as_tensor(x), name=name, axes=axes)
    return result


def require_finite(x: TensorLike, what: str = "value") -> Tensor:
    """`x`, and NonFiniteError for `what` once it turns out to hold a NaN or an infinity.

    In a captured step the error leaves all state as it was before the step.
    """
    result: Tensor = build("require_finite", as_tensor(x), what=what)
    return result
