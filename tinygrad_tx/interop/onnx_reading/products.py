"""Products, norms and attention of ONNX, in our functions."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import bool_
from tinygrad_tx.interop.onnx_reading.call import Call, meaning
from tinygrad_tx.tensor import (
    Tensor,
    einsum as tensor_einsum,
    matmul as tensor_matmul,
    neural,
    shape,
    take,
    tensor,
    zeros,
)
from tinygrad_tx.tensor.tensor import build

__all__: list[str] = []


@meaning("MatMul")
def matmul(call: Call) -> Tensor:
    return tensor_matmul(call.tensor(0), call.tensor(1))


@meaning("Gemm")
def gemm(call: Call) -> Tensor:
    """alpha A B + beta C."""
    a, b = call.tensor(0), call.tensor(1)
    a = shape.swapaxes(a, 0, 1) if call.attr("transA", 0) else a
    b = shape.swapaxes(b, 0, 1) if call.attr("transB", 0) else b
    found, alpha = tensor_matmul(a, b), call.attr("alpha", 1.0)
    found = found if alpha == 1 else found * alpha
    if not call.has(2):
        return found
    beta = call.attr("beta", 1.0)
    return found + (call.tensor(2) if beta == 1 else call.tensor(2) * beta)


@meaning("Einsum")
def einsum(call: Call) -> Tensor:
    equation = call.attr("equation", b"").decode(errors="replace")
    if "." in equation or not equation:
        call.refuse(f"equation {equation[:60]!r} is not known here")
    return tensor_einsum(equation, *call.tensors())


@meaning("Softmax", "LogSoftmax")
def softmax(call: Call) -> Tensor:
    x = call.tensor(0)
    function = neural.softmax if call.op_type == "Softmax" else neural.log_softmax
    return function(x, call.axis(call.attr("axis", -1), x.ndim))


@meaning("LayerNormalization", "RMSNormalization")
def norm(call: Call) -> tuple[Tensor, ...]:
    """Over the axes from `axis` on, which are laid flat; scale and shift stand for all of them.

    Behind it the mean and one over the deviation of each row, where somebody reads them.
    """
    x, scale = call.tensor(0), call.tensor(1)
    call.let_pass("stash_type")  # the type to compute in; here that of x
    axis, epsilon = call.axis(call.attr("axis", -1), x.ndim), call.attr("epsilon", 1e-5)
    width = prod(x.shape[axis:])
    rows = shape.reshape(x, (*x.shape[:axis], width))
    weight = shape.reshape(shape.broadcast_to(scale, x.shape[axis:]), (width,))
    if call.op_type == "RMSNormalization":
        return (shape.reshape(neural.rms_norm(rows, weight, epsilon), x.shape),)
    bias = zeros((width,), x.dtype)
    if call.has(2):
        bias = shape.reshape(shape.broadcast_to(call.tensor(2), x.shape[axis:]), (width,))
    found = shape.reshape(neural.layer_norm(rows, weight, bias, epsilon), x.shape)
    if not any(call.wanted[1:]):
        return (found,)
    each = (*x.shape[:axis], *(1 for _ in x.shape[axis:]))
    mean, inverse = build("moments", rows, epsilon=epsilon)
    return found, shape.reshape(mean, each), shape.reshape(inverse, each)


@meaning("Attention")
def attention(call: Call) -> tuple[Tensor, ...]:
    """Of queries (batch, heads, time, width), or (batch, time, heads x width) with the heads given.

    past keys and values stand before; causal: query i sees what was before, and keys up to i.
    """
    call.let_pass("softmax_precision")
    for name in ("softcap", "qk_matmul_output_mode"):
        if call.attr(name):
            call.refuse(f"{name} is set, which is not known here")
    if any(call.wanted[3:]):
        call.refuse("its scores are read, which are not given out here")
    given = call.tensor(0).ndim
    heads = (call.attr("q_num_heads", 0), call.attr("kv_num_heads", 0))
    q, k, v = (_heads(call, i, heads[min(i, 1)]) for i in range(3))
    before = 0
    if call.has(4) and call.has(5):
        before = call.tensor(4).shape[2]
        k, v = (shape.concat([call.tensor(i), x], 2) for i, x in ((4, k), (5, v)))
    queries, keys = q.shape[2], k.shape[2]
    mask, bias = _mask(call, keys)
    causal = bool(call.attr("is_causal", 0))
    if causal and keys - queries != before:
        seen = tensor(np.tril(np.ones((queries, keys), bool), before))
        mask, causal = seen if mask is None else mask & seen, False
    scale = call.attr("scale", float(q.shape[-1]) ** -0.5)
    out = _attended(q, k, v, mask=mask, causal=causal, bias=bias, scale=scale)
    if given == 3:
        out = _side_by_side(out)
    return out, k, v


def _attended(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
    """Attention where keys and values may differ in width: zeros beside them change no score."""
    width, wanted = q.shape[-1], v.shape[-1]
    if width == wanted:
        return neural.attention(q, k, v, **options)
    widest = max(width, wanted)

    def wide(x: Tensor) -> Tensor:
        return shape.pad(x, [(0, 0)] * 3 + [(0, widest - x.shape[-1])])

    return neural.attention(wide(q), wide(k), wide(v), **options)[..., :wanted]


def _heads(call: Call, i: int, heads: int) -> Tensor:
    """Input i as (batch, heads, time, width)."""
    x = call.tensor(i)
    if x.ndim == 4:
        return x
    if x.ndim != 3 or heads < 1 or x.shape[2] % heads:
        call.refuse(f"input {i} is {x.shape}, with {heads} heads")
    batch, time, width = x.shape
    apart = shape.reshape(x, (batch, time, heads, width // heads))
    return shape.permute_dims(apart, (0, 2, 1, 3))


def _side_by_side(x: Tensor) -> Tensor:
    """(batch, heads, time, width) -> (batch, time, heads x width)."""
    batch, count, time, width = x.shape
    return shape.reshape(shape.permute_dims(x, (0, 2, 1, 3)), (batch, time, count * width))


def _mask(call: Call, keys: int) -> tuple[Tensor | None, Tensor | None]:
    """Of truth values a mask, of numbers a bias; keys beyond it are not seen."""
    if not call.has(3):
        return None, None
    found = call.tensor(3)
    missing = keys - found.shape[-1]
    if missing > 0 and found.shape[-1] > 1:
        nothing = 0 if found.dtype == bool_ else float("-inf")
        found = shape.pad(found, [*[(0, 0)] * (found.ndim - 1), (0, missing)], nothing)
    return (found, None) if found.dtype == bool_ else (None, found)


@meaning("RotaryEmbedding")
def rotary(call: Call) -> Tensor:
    """Pairs turned by the angles of their places: i with i + width/2, or neighbours."""
    given = call.tensor(0).ndim
    x = _heads(call, 0, call.attr("num_heads", 0))
    turned = call.attr("rotary_embedding_dim", 0) or x.shape[-1]
    cos, sin = call.tensor(1), call.tensor(2)
    if call.has(3):
        cos, sin = (take(table, call.tensor(3), 0) for table in (cos, sin))
    cos, sin = (t[:, None] for t in (cos, sin))  # (batch, 1, time, turned / 2)
    rest, part = x[..., turned:], x[..., :turned]
    if call.attr("interleaved", 0):
        a, b = part[..., ::2], part[..., 1::2]
        pairs = shape.stack([a * cos - b * sin, b * cos + a * sin], axis=-1)
        found = shape.reshape(pairs, part.shape)
    else:
        a, b = part[..., : turned // 2], part[..., turned // 2 :]
        found = shape.concat([a * cos - b * sin, b * cos + a * sin], axis=-1)
    found = shape.concat([found, rest], axis=-1) if rest.size else found
    return _side_by_side(found) if given == 3 else found
