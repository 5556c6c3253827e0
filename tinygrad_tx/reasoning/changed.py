"""Changed: a model that writes left to right, with values at its points that are others."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from tinygrad_tx.errors import GraphError, explain
from tinygrad_tx.models.generation import Causal, stream
from tinygrad_tx.nn import Cache, Module
from tinygrad_tx.reasoning.look import Changes, looked, points
from tinygrad_tx.reasoning.point import matching
from tinygrad_tx.tensor import Tensor, cross_entropy
from tinygrad_tx.tensor.tensor import TensorLike

__all__ = ["Changed"]


class Changed:
    """`model` under `changes` (as in `intervene`), wherever a `Causal` model is taken.

    So it writes with a cache, beams or batches: what it keeps of the text is what the changed model
    computed, and positions count from the beginning of the text. A `Changed` may be changed again:
    at a point of both, the second change gets what the first one made. Errors: PointError.
    """

    def __init__(self, model: Causal, changes: Changes) -> None:
        self.model, self.changes, self.config = model, dict(changes), model.config
        before = model._in_order if isinstance(model, Changed) else ()
        self._in_order: tuple[tuple[str, Any], ...] = (*before, *changes.items())
        self._unchanged: Causal = model._unchanged if isinstance(model, Changed) else model
        if isinstance(self._unchanged, Module) and hasattr(self._unchanged, "example"):
            matching(list(changes), points(self._unchanged))

    def hidden(self, tokens: TensorLike, cache: Cache | None = None) -> Tensor:
        """As the model's own: (batch, time, width)."""
        place = None if cache is None else cache.start
        found = looked(
            lambda t: self._unchanged.hidden(t, cache), (tokens,), (), self._in_order, place, _some
        )
        hidden: Tensor = found.output
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        """As the model's own: (batch, time, vocab)."""
        logits: Tensor = looked(
            self._unchanged.logits, (hidden,), (), self._in_order, None, self._head
        ).output
        return logits

    def cache(self, batch: int, context: int | None = None) -> Cache:
        return self.model.cache(batch, context)

    def loss(self, tokens: TensorLike, targets: TensorLike) -> Tensor:
        """Mean cross-entropy in nats of the next tokens, as the model's own."""
        return cross_entropy(self(tokens), targets)

    def eval(self) -> Self:
        """As a module's: without dropout."""
        if isinstance(self.model, (Module, Changed)):
            self.model.eval()
        return self

    def __call__(self, tokens: TensorLike) -> Tensor:
        """Logits (batch, time, vocab) of whole texts: what `intervene` gives."""

        def whole(tokens: Tensor) -> Tensor:
            return self._unchanged.logits(self._unchanged.hidden(tokens))

        logits: Tensor = looked(whole, (tokens,), (), self._in_order).output
        return logits

    def generate(self, tokens: Sequence[int], max_new_tokens: int, **options: Any) -> Iterator[int]:
        """New tokens after `tokens`, one by one; `options` as in `models.generation.stream`."""
        return stream(self, tokens, max_new_tokens, **options)

    def _head(self, patterns: Sequence[str], known: Mapping[str, object]) -> list[str]:
        """Those of the output head, where it is not known which rows of the text are computed."""
        for pattern, change in self._in_order:
            part = getattr(change, "where", None) if pattern in patterns else None
            if part is not None and part.positions is not None and _some([pattern], known):
                what = f"positions of {pattern!r} are not known while a text is written"
                remedy = "change a point of the blocks there, or all positions"
                raise GraphError(explain("intervene", what, remedy=remedy))
        return _some(patterns, known)


def _some(patterns: Sequence[str], known: Mapping[str, object]) -> list[str]:
    """What the patterns name here; the rest of their points are in the other half of the model."""
    return [path for path in known if any(fnmatch.fnmatchcase(path, p) for p in patterns)]
