"""Text from a causal language model, token by token."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_tx.errors import NonFiniteError, explain
from tinygrad_tx.jit import jit
from tinygrad_tx.tensor import Tensor, no_grad, take

__all__ = ["sample", "stream"]


def stream(
    logits: Callable[[Any], Tensor],
    context: int,
    tokens: Sequence[int],
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    stop: Collection[int] = (),
    seed: int | None = None,
) -> Iterator[int]:
    """New tokens one by one, until `max_new_tokens` or one in `stop` (which is not given out).

    logits(tokens) gives (batch, time, vocab). The last `context` tokens are seen; windows are
    padded on the right, which a causal model cannot see, so that one recording serves them all.
    """
    if not len(tokens):
        raise ValueError("generate: the prompt is empty; give at least one token.")
    rng = np.random.default_rng(seed)

    @jit
    def last(window: Tensor, place: Tensor) -> Tensor:
        with no_grad():
            return take(logits(window)[0], place, 0)

    window = np.zeros((1, context), np.int64)
    seen = [int(t) for t in tokens]
    for _ in range(max_new_tokens):
        recent = seen[-context:]
        window[0, : len(recent)] = recent
        scores = last(window, np.array([len(recent) - 1])).numpy()[0]
        token = sample(scores, rng, temperature, top_k, top_p)
        if token in stop:
            return
        seen.append(token)
        yield token


def sample(
    logits: np.ndarray[Any, Any],
    rng: np.random.Generator,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> int:
    """One token from `logits` (vocab). Temperature 0 takes the likeliest.

    top_k keeps the k likeliest (Fan et al. 2018); top_p the fewest that hold probability p
    (Holtzman et al. 2020).
    """
    if temperature < 0 or (top_k is not None and top_k < 1) or not 0 < (top_p or 1) <= 1:
        what = f"temperature {temperature}, top_k {top_k}, top_p {top_p}"
        raise ValueError(f"generate: {what}: need temperature >= 0, top_k >= 1, 0 < top_p <= 1.")
    if np.isnan(logits).any():
        raise NonFiniteError(explain("generate", "the model's logits contain NaN"))
    if temperature == 0:
        return int(logits.argmax())
    order = np.argsort(-logits, kind="stable")[:top_k]
    scaled = (logits[order].astype(np.float64) - logits[order[0]]) / temperature
    chance = np.exp(scaled)
    chance /= chance.sum()
    if top_p is not None:
        kept = int(np.searchsorted(np.cumsum(chance), top_p)) + 1
        order, chance = order[:kept], chance[:kept] / chance[:kept].sum()
    return int(rng.choice(order, p=chance))
