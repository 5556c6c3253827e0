"""What a model takes as tokens, checked before anything is computed."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from tinygrad_tx.errors import ArgumentError, DataError, DTypeError, ShapeError, explain
from tinygrad_tx.nn import Cache
from tinygrad_tx.shapes import divisors
from tinygrad_tx.tensor import Tensor, broadcast_to, concat
from tinygrad_tx.tensor.tensor import TensorLike, as_tensor

__all__ = ["behind", "check_config", "check_sizes", "checked", "places_of", "prompt_of"]


def checked(tokens: TensorLike, model: str, context: int) -> Tensor:
    """tokens as an integer Tensor (batch, time <= context). Errors: ShapeError, DTypeError."""
    found = as_tensor(tokens)
    if found.dtype.kind not in "iu":
        remedy = "tokens are whole numbers, as a tokenizer's encode gives them: astype(tx.int64)"
        raise DTypeError(explain(model, f"tokens are {found.dtype}", remedy=remedy))
    if found.ndim != 2:
        what = f"tokens are {found.shape}, not (batch, time)"
        raise ShapeError(explain(model, what, remedy="tokens[None] is a batch of one"))
    if not 0 < found.shape[1] <= context:
        what = f"{found.shape[1]} tokens, not 1 to {context}"
        remedy = f"cut them: tokens[:, -{context}:]; or make the model with a larger context"
        raise ShapeError(explain(model, what, remedy=remedy))
    return found


def places_of(tokens: Tensor, cache: Cache | None, before: int = 0) -> TensorLike:
    """Where the tokens stand in their texts: (time,), or (batch, time) behind what is kept.

    before: vectors that stand before the tokens, and are counted with them.
    """
    places = np.arange(before + tokens.shape[1])
    if cache is None or cache.lengths is None:
        return places
    return cache.lengths.reshape((-1, 1)) + places


def behind(prompt: Tensor | None, embedded: Tensor) -> Tensor:
    """Embedded tokens (batch, time, width) behind the vectors (length, width) of a prompt."""
    if prompt is None:
        return embedded
    return concat([broadcast_to(prompt, (embedded.shape[0], *prompt.shape)), embedded], axis=1)


def check_sizes(config: Any, *optional: str) -> None:
    """Refuses a config whose whole numbers are below 1 or whose dropout is no probability.

    optional: those that may be None. Errors: ShapeError, ValueError.
    """
    who = type(config).__name__
    for field in fields(config):
        value = getattr(config, field.name)
        if field.name in optional and value is None:
            continue
        if str(field.type).startswith("int") and type(value) is not int:
            what = f"{field.name} is {value!r}, not a whole number"
            remedy = (
                "give an int" if value is not None else f"leave {field.name} out, or give an int"
            )
            raise ArgumentError(explain(who, what, remedy=remedy))
        if type(value) is int and value < 1:
            what = f"{field.name} is {value}, not at least 1"
            raise ShapeError(explain(who, what, remedy="an empty axis computes nothing"))
    if not 0 <= getattr(config, "dropout", 0) < 1:
        what = f"dropout is {config.dropout}, not at least 0 and below 1"
        raise ArgumentError(explain(who, what, remedy="0.1 drops a tenth"))
    if getattr(config, "head_width", None) is None and config.width % config.heads:
        what = f"width {config.width} is not a multiple of heads {config.heads}"
        near = sorted(divisors(config.width), key=lambda n: abs(n - config.heads))
        usable = ", ".join(map(str, near[:4]))
        raise ShapeError(explain(who, what, remedy=f"heads that divide it: {usable}"))


def check_config(model: str, config: Any, kind: type) -> None:
    """Errors: ArgumentError for anything but the config of this family."""
    if isinstance(config, kind):
        return
    remedy = f"make one: tx.models.{kind.__name__}(vocab_size=..., context=...)"
    if isinstance(config, str):
        remedy = f"tx.models.build(tx.models.preset({config!r})) makes a published model, untrained"
    elif isinstance(config, dict):
        remedy = f"make one of it: tx.models.{kind.__name__}(**settings)"
    what = f"takes a {kind.__name__}, not a {type(config).__name__}"
    raise ArgumentError(explain(model, what, remedy=remedy))


def prompt_of(tokens: Any) -> list[int]:
    """The tokens of one text as Python numbers. Errors: DataError."""
    if isinstance(tokens, str):
        what, remedy = "takes tokens, not text", "encode it: tokenizer.encode(text)"
        raise DataError(explain("generate", what, remedy=f"{remedy}; tx.models.write takes text"))
    found = np.asarray(tokens)
    if found.size == 0:
        remedy = "give at least one token"
        raise DataError(explain("generate", "the prompt is empty", remedy=remedy))
    if found.ndim != 1:
        what = f"takes the tokens of one text, not {found.shape}"
        remedy = "give tokens[0]; several texts at once: tx.models.write_batch"
        raise DataError(explain("generate", what, remedy=remedy))
    if found.dtype.kind not in "iu":
        what = f"tokens are {found.dtype}, not whole numbers"
        raise DataError(explain("generate", what, remedy="take the tokenizer's encode"))
    return [int(t) for t in found]
