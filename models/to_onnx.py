"""Each family as ONNX files: which parts there are, what they take, which sizes stay open."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import DType, float32
from tinygrad_tx.errors import OnnxError, explain
from tinygrad_tx.interop import Exported, export_onnx
from tinygrad_tx.interop.onnx_decoder import decoder_step
from tinygrad_tx.interop.onnx_export import DEFAULT_OPSET
from tinygrad_tx.models.bert import BERT
from tinygrad_tx.models.causal import CausalModel
from tinygrad_tx.models.encoder_decoder import EncoderDecoder
from tinygrad_tx.nn import Module
from tinygrad_tx.tensor import Tensor, no_grad, tensor
from tinygrad_tx.tensor.tensor import as_tensor

__all__ = ["Part", "part_of", "parts_of", "save_onnx"]

Array = np.ndarray[Any, Any]

BATCH_TIME = ("batch", "time")
SIZES = {"batch": 2, "time": 7, "source": 5, "target": 7, "context": 16}
"""Of the inputs on which a file is compared."""


@dataclass(frozen=True)
class Part:
    """A function of a model with arguments of the longest sizes.

    dynamic: the open axes of each input. outputs: names of the results.
    """

    function: Callable[..., Any]
    inputs: tuple[Array, ...]
    dynamic: Mapping[str, Sequence[str | None]]
    outputs: tuple[str, ...]

    def examples(self, vocab: int, seed: int = 0) -> list[Array]:
        """Random inputs of small sizes; what a step keeps is what a first step made of tokens."""
        rng = np.random.default_rng(seed)
        found = [
            _random(rng, name, _small(row, longest.shape), longest.dtype, vocab)
            for (name, row), longest in zip(self.dynamic.items(), self.inputs, strict=True)
        ]
        if "lengths" not in self.dynamic:
            return found
        tokens, lengths, *kept = found
        nothing = [tensor(np.zeros_like(a)) for a in (lengths, *kept)]
        with no_grad():
            _, *kept = (t.numpy() for t in self.function(tensor(tokens), *nothing))
        return [tokens, lengths + tokens.shape[1], *kept]


def _small(row: Sequence[str | None], longest: Sequence[int]) -> tuple[int, ...]:
    """A shape for the eye: open sizes small, and no longer than they may be."""
    names = [*row, *[None] * (len(longest) - len(row))]
    return tuple(
        n if name is None else SIZES[name] if name == "batch" else min(n, SIZES[name])
        for name, n in zip(names, longest, strict=True)
    )


def _random(
    rng: np.random.Generator, name: str, shape: tuple[int, ...], dtype: DType, vocab: int
) -> Array:
    """Tokens, segments, vectors, or a mask of which the first token is real."""
    if dtype.kind == "b":
        mask = rng.random(shape) < 0.7
        mask[:, 0] = True
        return mask
    if dtype.kind == "f":
        return rng.normal(size=shape).astype(dtype)
    if name == "lengths":
        return np.zeros(shape, np.int64)
    return rng.integers(0, 2 if name == "segments" else vocab, shape)


def save_onnx(
    model: Module,
    path: str | Path,
    part: str = "whole",
    *,
    fixed: bool = False,
    opset: int = DEFAULT_OPSET,
    external: bool | None = None,
) -> Exported:
    """Writes a model of any family, or a part of one, as an ONNX file.

    part: "whole"; "step" of GPT and Llama, one step with a cache; "both" heads of BERT; "encoder"
    or "decoder" of an encoder-decoder. fixed: all sizes are those of the longest input, else batch
    and time stay open. The others as in `interop.export_onnx`. Errors: OnnxError.
    """
    found = part_of(model, part)
    return export_onnx(
        found.function,
        found.inputs,
        path,
        dynamic=() if fixed else found.dynamic,
        opset=opset,
        input_names=list(found.dynamic),
        output_names=found.outputs,
        module=model,
        external=external,
    )


def part_of(model: Module, part: str) -> Part:
    """Errors: OnnxError for a part that the model does not have."""
    parts = parts_of(model)
    if part not in parts:
        what = f"a {type(model).__name__} has no part {part!r}"
        remedy = f"it has {', '.join(parts)}"
        raise OnnxError(explain("onnx", what, remedy=remedy))
    return parts[part]


def parts_of(model: Module) -> dict[str, Part]:
    """The parts of a model by name. Errors: OnnxError for one that gives no example."""
    if isinstance(model, EncoderDecoder):
        return _sides(model)
    example = getattr(model, "example", None)
    if example is None:
        what = f"a {type(model).__name__} gives no example of its inputs"
        raise OnnxError(explain("onnx", what, remedy="use tx.interop.export_onnx with inputs"))
    inputs = tuple(example())
    names = ("tokens", "segments", "mask") if len(inputs) == 3 else ("tokens", "mask")
    dynamic = dict.fromkeys(names[: len(inputs)], BATCH_TIME)
    result = "vectors" if type(model).__name__ == "SentenceEncoder" else "logits"
    parts = {"whole": Part(model, inputs, dynamic, (result,))}
    if isinstance(model, BERT):
        parts["both"] = Part(model.both, inputs, dynamic, ("logits", "next_sentence"))
    if isinstance(model, CausalModel):
        step, examples, kept, results = decoder_step(model)
        parts["step"] = Part(step, tuple(examples), kept, tuple(results))
    return parts


def _sides(model: EncoderDecoder) -> dict[str, Part]:
    """The whole, and each side by itself, all with a mask of the source."""
    config = model.config
    tokens = np.zeros((1, config.context), np.int64)
    mask = np.ones(tokens.shape, bool)
    # Shapes alone count.
    memory = np.zeros((*tokens.shape, config.width), float32)
    source, target = ("batch", "source"), ("batch", "target")

    def encode(source: Tensor, source_mask: Tensor) -> Tensor:
        return model.encode(source, _seen(source_mask))

    def decode(target: Tensor, memory: Tensor, source_mask: Tensor) -> Tensor:
        return model.decode(target, memory, _seen(source_mask))

    masked = {"source": source, "source_mask": source}
    behind = {"target": target, "memory": source, "source_mask": source}
    whole = {"source": source, "target": target, "source_mask": source}
    return {
        "whole": Part(model, (tokens, tokens, mask), whole, ("logits",)),
        "encoder": Part(encode, (tokens, mask), masked, ("memory",)),
        "decoder": Part(decode, (tokens, memory, mask), behind, ("logits",)),
    }


def _seen(mask: Any) -> Tensor:
    """(batch, time) -> (batch, 1, 1, time)."""
    seen: Tensor = as_tensor(mask).astype(bool)[:, None, None, :]
    return seen
