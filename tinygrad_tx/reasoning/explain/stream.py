"""Stream: the residual stream that ends in the logits, and the head that reads it.

Nothing here knows a family of models: the stream is found in the points, and the head is the graph
between its last point and the output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import NonFiniteError, PointError, explain
from tinygrad_tx.jit import jit
from tinygrad_tx.nn import Module
from tinygrad_tx.reasoning.look import Model, look, points
from tinygrad_tx.reasoning.point import Point
from tinygrad_tx.tensor import Tensor, no_grad
from tinygrad_tx.tensor.tensor import as_tensor

__all__ = ["Stream", "arrays_of", "at_rest", "finite", "head_of", "stream_of"]

Array = np.ndarray[Any, Any]

_PARTS = {
    "residual_before": "embedding",
    "residual_after_attention": "attention",
    "residual_after_cross_attention": "cross-attention",
    "residual_after_feed_forward": "feed-forward",
}


@dataclass(frozen=True)
class Stream:
    """residuals: its points, from the embedding to the last block. side: what their paths begin
    with, as "decoder."; empty for a model of one stream."""

    side: str
    residuals: tuple[str, ...]

    @property
    def last(self) -> str:
        return self.residuals[-1]

    def blocks(self) -> tuple[str, ...]:
        """The stream before the first block and after each."""
        ends = ("residual_before", "residual_after_feed_forward")
        return tuple(p for p in self.residuals if p.rpartition(".")[2] in ends)

    def tokens(self, arrays: Sequence[Array]) -> Array:
        """Those of the inputs that the stream's positions are."""
        return arrays[1 if self.side == "decoder." and len(arrays) > 1 else 0]

    def name(self, path: str) -> str:
        """In words: "embedding", "block 0", "block 0 attention"."""
        block, _, last = path.removeprefix(self.side + "blocks.").rpartition(".")
        if last == "residual_before":
            return "embedding"
        part = "" if last == "residual_after_feed_forward" else f" {_PARTS[last]}"
        return f"block {block}{part}"


def stream_of(known: Mapping[str, Point]) -> Stream:
    """The stream that is written last. Errors: PointError for a model without one."""
    ends = [p for p in known if p.rpartition(".")[2] == "residual_after_feed_forward"]
    if not ends:
        what = "the model has no residual stream: no point residual_after_feed_forward"
        raise PointError(explain("reasoning", what, remedy="see points(model)"))
    side = ends[-1].partition("blocks.")[0]
    found = [p for p in known if p.startswith(f"{side}blocks.") and known[p].name in _PARTS]
    first = next((p for p in found if known[p].name == "residual_before"), None)
    kept = [p for p in found if known[p].name != "residual_before" or p == first]
    return Stream(side, tuple(kept))


def arrays_of(inputs: Any) -> tuple[Array, ...]:
    """What a model is called with, as arrays."""
    args = inputs if isinstance(inputs, tuple) else (inputs,)
    return tuple(np.asarray(as_tensor(a).numpy()) for a in args)


@contextmanager
def at_rest(model: Model) -> Iterator[None]:
    """Inside, the model does not train: no dropout. Afterwards it is as it was."""
    modules = list(model.named_modules()) if isinstance(model, Module) else []
    before = [m.training for _, m in modules]
    for _, module in modules:
        module.training = False
    try:
        yield
    finally:
        for (_, module), mode in zip(modules, before, strict=True):
            module.training = mode


def head_of(model: Model, last: str) -> Callable[..., Tensor]:
    """A captured function (residual, *inputs) -> output: what stands behind the stream's end.

    The blocks before it are not computed: nothing that is asked for depends on them.
    """

    def head(residual: Tensor, *args: Tensor) -> Tensor:
        with no_grad():
            output: Tensor = look(model, args, (), {last: lambda x: residual}).output
        return output

    return jit(head)


def listed(model: Model, arrays: tuple[Array, ...]) -> dict[str, Point]:
    """The points of a model at rest."""
    with at_rest(model):
        return points(model, *arrays)


def finite(values: Array, path: str) -> Array:
    """`values` if all are finite. Errors: NonFiniteError, which says where the first is not."""
    if not np.isfinite(values).all():
        first = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        count = int((~np.isfinite(values)).sum())
        what = f"{count:,} of {values.size:,} numbers of {path} are not finite, first at {first}"
        remedy = "look for the first such point with capture(model, inputs), or use find_nan"
        raise NonFiniteError(explain("reasoning", what, remedy=remedy))
    return values
