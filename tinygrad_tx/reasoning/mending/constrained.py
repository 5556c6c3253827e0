"""Constrained: a causal model under a rule on its logits, so that an audit sees what is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_tx.errors import GraphError, explain
from tinygrad_tx.models.constraints import Balanced, Banned
from tinygrad_tx.models.generation import Causal, stream
from tinygrad_tx.nn import Cache
from tinygrad_tx.tensor import (
    Tensor,
    concat,
    cross_entropy,
    cumsum,
    full,
    logsumexp,
    stack,
    where,
)
from tinygrad_tx.tensor.tensor import TensorLike, as_tensor

__all__ = ["Constrained"]


class Constrained:
    """`model` whose logits pass through a rule: `Banned` or `Balanced`.

    Nothing in the model changes; it still thinks what it thought, and where it is read in another
    way than by its next token (embeddings, probes) the rule does nothing. A rule with `unless`
    carries along whether such a token was there: it computes whole texts, and writes with
    `generate` (or `stream` and `write_batch` of the model itself with `constraint=rule`).
    Source: Dathathri et al. 2020 and Sheng et al. 2021 compare such controls while decoding.
    """

    def __init__(self, model: Causal, rule: Banned | Balanced) -> None:
        self.model, self.rule, self.config = model, rule, model.config

    def hidden(self, tokens: TensorLike, cache: Cache | None = None) -> Tensor:
        """As the model's own; with `unless` one column more: 1 where the rule is off."""
        hidden = self.model.hidden(tokens, cache)
        if not self.rule.unless:
            return hidden
        if cache is not None:
            what = "a rule with `unless` looks at the text, which a cache does not keep"
            remedy = "use generate, or write with constraint=rule"
            raise GraphError(explain("Constrained", what, remedy=remedy))
        given = as_tensor(tokens)
        hits = [given == t for t in sorted(self.rule.unless)]
        found = stack(hits).any(0).astype(hidden.dtype)
        off = (cumsum(found, axis=1) > 0).astype(hidden.dtype)
        return concat([hidden, off.reshape((*off.shape, 1))], -1)

    def logits(self, hidden: Tensor) -> Tensor:
        """The model's logits under the rule."""
        if not self.rule.unless:
            return self._ruled(self.model.logits(hidden))
        logits = self.model.logits(hidden[..., :-1])
        return where(hidden[..., -1:] > 0, logits, self._ruled(logits))

    def __call__(self, tokens: TensorLike) -> Tensor:
        """Logits (batch, time, vocab) of whole texts."""
        return self.logits(self.hidden(tokens))

    def loss(self, tokens: TensorLike, targets: TensorLike) -> Tensor:
        """Mean cross-entropy in nats of the next tokens, under the rule."""
        return cross_entropy(self(tokens), targets)

    def cache(self, batch: int, context: int | None = None) -> Cache:
        return self.model.cache(batch, context)

    def generate(self, tokens: Sequence[int], max_new_tokens: int, **options: Any) -> Iterator[int]:
        """New tokens after `tokens`, one by one; `options` as in `models.generation.stream`."""
        return stream(self.model, tokens, max_new_tokens, constraint=self.rule, **options)

    def eval(self) -> Constrained:
        """The model without dropout; returns itself."""
        if hasattr(self.model, "eval"):
            self.model.eval()
        return self

    def _ruled(self, logits: Tensor) -> Tensor:
        vocab = logits.shape[-1]
        if isinstance(self.rule, Banned):
            return where(_among(self.rule.tokens, vocab), full((), -np.inf, logits.dtype), logits)
        # log-sum-exp of each group: (..., 1) each
        least = full((), -np.inf, logits.dtype)
        groups = [_among(group, vocab) for group in self.rule.groups]
        sums = [logsumexp(where(g, logits, least), axis=-1, keepdims=True) for g in groups]
        whole = logsumexp(concat(sums, -1), axis=-1, keepdims=True)
        whole = whole - float(np.log(len(groups)))
        for group, own in zip(groups, sums, strict=True):
            logits = where(group, logits - own + whole, logits)
        return logits


def _among(tokens: Sequence[int], vocab: int) -> np.ndarray[Any, Any]:
    found = np.zeros(vocab, bool)
    found[list(tokens)] = True
    return found
