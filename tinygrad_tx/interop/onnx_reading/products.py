"""Products, norms and attention of ONNX, in our functions."""

from __future__ import annotations

from math import prod

import numpy as np

from tinygrad_tx.dtypes import bool_, float32
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
def norm(call: Call) -> Tensor:
    """Over the axes from `axis` on, which are laid flat; scale and shift stand for all of them."""
    x, scale = call.tensor(0), call.tensor(1)
    if any(call.wanted[1:]):
        call.refuse("its second result is read, which is not computed here")
    axis, epsilon = call.axis(call.attr("axis", -1), x.ndim), call.attr("epsilon", 1e-5)
    width = prod(x.shape[axis:])
    rows = shape.reshape(x, (*x.shape[:axis], width))
    weight = shape.reshape(shape.broadcast_to(scale, x.shape[axis:]), (width,))
    if call.op_type == "RMSNormalization":
        return shape.reshape(neural.rms_norm(rows, weight, epsilon), x.shape)
    bias = zeros((width,), x.dtype)
    if call.has(2):
        bias = shape.reshape(shape.broadcast_to(call.tensor(2), x.shape[axis:]), (width,))
    return shape.reshape(neural.layer_norm(rows, weight, bias, epsilon), x.shape)


@meaning("Attention")
def attention(call: Call) -> tuple[Tensor, ...]:
    """Of queries (batch, heads, time, width), or (batch, time, heads x width) with the heads given.

    past keys and values stand before; causal aligns the first query with the first key.
    """
    for name in ("softcap", "qk_matmul_output_mode"):
        if call.attr(name):
            call.refuse(f"{name} is set, which is not known here")
    if any(call.wanted[3:]) or call.has(6):
        call.refuse("its scores, or the lengths of its keys, are asked for, which is not known here")
    given = call.tensor(0).ndim
    heads = (call.attr("q_num_heads", 0), call.attr("kv_num_heads", 0))
    q, k, v = (_heads(call, i, heads[min(i, 1)]) for i in range(3))
    if call.has(4) and call.has(5):
        k, v = (shape.concat([call.tensor(i), x], 2) for i, x in ((4, k), (5, v)))
    scale = call.attr("scale", float(q.shape[-1]) ** -0.5)
    queries, keys = q.shape[2], k.shape[2]
    causal = bool(call.attr("is_causal", 0))
    mask, bias = _mask(call, keys)
    if causal and queries != keys:
        seen = np.tril(np.ones((queries, keys), bool))
        mask, causal = tensor(seen) if mask is None else mask & tensor(seen), False
    if k.shape[-1] != v.shape[-1]:
        call.refuse(f"keys are {k.shape[-1]} wide and values {v.shape[-1]}")
    out = neural.attention(q, k, v, mask=mask, causal=causal, bias=bias, scale=scale)
    if given == 3:
        batch, count, time, width = out.shape
        out = shape.reshape(shape.permute_dims(out, (0, 2, 1, 3)), (batch, time, count * width))
    return out, k, v


def _heads(call: Call, i: int, heads: int) -> Tensor:
    x = call.tensor(i)
    if x.ndim == 4:
        return x
    if x.ndim != 3 or heads < 1 or x.shape[2] % heads:
        call.refuse(f"input {i} is {x.shape}, with {heads} heads")
    batch, time, width = x.shape
    return shape.permute_dims(shape.reshape(x, (batch, time, heads, width // heads)), (0, 2, 1, 3))


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
    """Pairs (i, i + width/2) turned by the angles of their places; interleaved is not known here."""
    if call.attr("interleaved", 0) or call.attr("rotary_embedding_dim", 0):
        call.refuse("interleaved or partial turning is not known here")
    given = call.tensor(0).ndim
    x = _heads(call, 0, call.attr("num_heads", 0))
    cos, sin = call.tensor(1), call.tensor(2)
    if call.has(3):
        cos, sin = (take(table, call.tensor(3), 0) for table in (cos, sin))
    cos, sin = (t.astype(float32)[:, None] for t in (cos, sin))  # (batch, 1, time, width / 2)
    half = x.shape[-1] // 2
    a, b = x[..., :half], x[..., half:]
    found = shape.concat([a * cos - b * sin, b * cos + a * sin], axis=-1)
    if given == 3:
        batch, count, time, width = found.shape
        found = shape.reshape(shape.permute_dims(found, (0, 2, 1, 3)), (batch, time, count * width))
    return found
