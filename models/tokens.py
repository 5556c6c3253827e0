"""What a model takes as tokens, checked before anything is computed."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from tinygrad_tx.errors import DTypeError, ShapeError, explain
from tinygrad_tx.nn import Cache
from tinygrad_tx.tensor import Tensor, broadcast_to, concat
from tinygrad_tx.tensor.tensor import TensorLike, as_tensor

__all__ = ["behind", "check_sizes", "checked", "places_of"]


def checked(tokens: TensorLike, model: str, context: int) -> Tensor:
    """tokens as an integer Tensor (batch, time <= context). Errors: ShapeError, DTypeError."""
    found = as_tensor(tokens)
    if found.dtype.kind not in "iu":
        remedy = "tokens are whole numbers: use the tokenizer's, or astype(tx.int64)"
        raise DTypeError(explain(model, f"tokens are {found.dtype}", remedy=remedy))
    if found.ndim != 2:
        what = f"tokens are {found.shape}, not (batch, time)"
        raise ShapeError(explain(model, what, remedy="tokens[None] is a batch of one"))
    if not 0 < found.shape[1] <= context:
        what = f"{found.shape[1]} tokens, not 1 to {context}"
        raise ShapeError(explain(model, what, remedy="cut the text, or raise context"))
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
        if isinstance(value, int) and not isinstance(value, bool) and value < 1:
            raise ShapeError(explain(who, f"{field.name} is {value}, not at least 1"))
    if not 0 <= getattr(config, "dropout", 0) < 1:
        raise ValueError(f"{who}: dropout is {config.dropout}, not at least 0 and below 1.")
    if getattr(config, "head_width", None) is None and config.width % config.heads:
        what = f"width {config.width} is not a multiple of heads {config.heads}"
        raise ShapeError(explain(who, what))
