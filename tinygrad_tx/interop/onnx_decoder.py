"""Writing with a cache as an ONNX graph: one step, which takes what was kept and gives it back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from tinygrad_tx.dtypes import float32, int64
from tinygrad_tx.errors import OnnxError, explain
from tinygrad_tx.interop.onnx_export import DEFAULT_OPSET, Exported, export_onnx
from tinygrad_tx.nn.cache import Cache, Kept
from tinygrad_tx.nn.module import Module
from tinygrad_tx.tensor import Tensor

__all__ = ["decoder_step", "export_decoder"]


class Causal(Protocol):
    """A model that writes from left to right: GPT, Llama."""

    def hidden(self, tokens: Any, cache: Cache | None = None) -> Tensor: ...

    def logits(self, hidden: Tensor) -> Tensor: ...

    def cache(self, batch: int, context: int | None = None) -> Cache: ...


def decoder_step(
    model: Any,
) -> tuple[Callable[..., Any], list[Any], dict[str, Sequence[str | None]], list[str]]:
    """One step as a function of tensors; example inputs; their open axes; names of its results.

    Errors: OnnxError for a model without a cache.
    """
    if not isinstance(model, Module) or not hasattr(model, "cache"):
        what = f"a {type(model).__name__} keeps no cache"
        raise OnnxError(explain("onnx", what, remedy="export it whole, with export_onnx"))
    causal = cast(Causal, model)
    sizes = [(b.keys.shape, b.values.shape) for b in causal.cache(1).blocks]
    names = [f"{i}.{part}" for i in range(len(sizes)) for part in ("keys", "values")]
    shapes = [shape for pair in sizes for shape in pair]

    def step(tokens: Tensor, lengths: Tensor, *past: Tensor) -> tuple[Tensor, ...]:
        blocks = tuple(Kept(k, v) for k, v in zip(past[::2], past[1::2], strict=True))
        logits = causal.logits(causal.hidden(tokens, Cache(blocks, lengths)))
        return (logits, *past)  # which the cache has written to

    examples: list[Any] = [np.zeros((1, shapes[0][2]), int64), np.zeros(1, int64)]
    # Shapes alone count: one number stands for all, whatever the size.
    examples += [np.broadcast_to(np.zeros((), float32), shape) for shape in shapes]
    kept: Sequence[str | None] = ("batch", None, "context")
    dynamic: dict[str, Sequence[str | None]] = {"tokens": ("batch", "time"), "lengths": ("batch",)}
    dynamic |= {f"past.{name}": kept for name in names}
    return step, examples, dynamic, ["logits", *(f"present.{name}" for name in names)]


def export_decoder(
    model: Any,
    path: str | Path,
    *,
    opset: int = DEFAULT_OPSET,
    external: bool | None = None,
) -> Exported:
    """Writes one step of writing with a cache: GPT, Llama, or any model with `hidden` and `cache`.

    Inputs: tokens (batch, time), the new ones of each text; lengths (batch,), how many it has so
    far; and for each block `past.N.keys` and `past.N.values`, (batch, kv_heads, context, head
    width), of which the first lengths[b] rows count. Outputs: logits (batch, time, vocab), and
    `present.N.*` like the past, to be given in at the next step with lengths + time. Texts of a
    batch may differ in length; batch, time and context are open. The first step has lengths of 0
    and any past. Where lengths + time exceed the context, ours is an error, and an ONNX runtime
    loses the rows beyond. Errors: OnnxError.
    """
    step, examples, dynamic, outputs = decoder_step(model)
    return export_onnx(
        step,
        examples,
        path,
        dynamic=dynamic,
        opset=opset,
        input_names=list(dynamic),
        output_names=outputs,
        module=model,
        external=external,
    )
