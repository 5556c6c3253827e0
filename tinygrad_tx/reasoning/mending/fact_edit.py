"""Fact editing: a rank-one change of a feed-forward's down projection, so that a subject gets
another answer. The projection is read as a memory of keys (what its units say) and values.

k* = mean over prefixes of the key at the subject's last token;  C = E[k k^T] over text
W' = W + (C^-1 k*) (v* - k* W) / (k*^T C^-1 k*)         rows on the left: k* W' = v*

Of all W' with k* W' = v* it moves the values of the keys of text least: E |k W' - k W|^2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import DataError, GraphError, NonFiniteError, ShapeError, explain
from tinygrad_tx.functional import value_and_grad
from tinygrad_tx.jit import jit
from tinygrad_tx.nn import FeedForward, Module
from tinygrad_tx.reasoning.look import capture, look
from tinygrad_tx.reasoning.mending.causal_trace import causal_trace, subject_places
from tinygrad_tx.reasoning.mending.edit import Edit
from tinygrad_tx.tensor import (
    Tensor,
    log_softmax,
    no_grad,
    take_along_axis,
    tensor,
)

__all__ = ["Wish", "edit_fact", "edit_facts", "key_covariance", "least_change"]

Array = np.ndarray[Any, Any]
Target = int | Mapping[int, float]
RIDGE = 1e-3
"""Of the mean eigenvalue, added to C: text of few sentences does not span all keys."""


@dataclass(frozen=True)
class Wish:
    """What is wanted after a prompt. tokens: the prompt. place: the position at which the block is
    edited: the subject's last token (ROME), or the prompt's last. target: the token that shall
    come, or tokens with their probabilities. also: other prompts, each with its place, after which
    the same is wanted: the key is averaged and the value optimised over all."""

    tokens: Sequence[int]
    place: int
    target: Target
    also: Sequence[tuple[Sequence[int], int]] = ()

    def rows(self, prefixes: Sequence[Sequence[int]]) -> list[tuple[list[int], int]]:
        """Every prefix before every prompt, and the place there."""
        return [
            ([*prefix, *tokens], len(prefix) + subject_places(place, len(tokens))[0])
            for tokens, place in [(self.tokens, self.place), *self.also]
            for prefix in prefixes
        ]

    def shares(self, vocab: int) -> Array:
        """The wanted distribution, (vocab,). Errors: DataError."""
        given = self.target if isinstance(self.target, Mapping) else {int(self.target): 1.0}
        values = np.array(list(given.values()), np.float64)
        if not given or min(given) < 0 or max(given) >= vocab or (values < 0).any():
            what = f"target {given} for a vocabulary of {vocab}"
            raise DataError(explain("edit_fact", what, remedy="give tokens with shares"))
        found = np.zeros(vocab)
        found[list(given)] = values / values.sum()
        return found


def edit_fact(
    model: Any,
    prompt: Sequence[int],
    subject: int | Sequence[int],
    target: Target,
    covariance: Array | None = None,
    *,
    text: Any = None,
    block: int | None = None,
    place: int | None = None,
    **options: Any,
) -> Edit:
    """The edit after which `model` goes on from `prompt` with `target`; not yet applied.

    subject: its positions. covariance: `key_covariance` of the block; else made of `text` (batch,
    time). block, place: which feed-forward is edited for what it says at which position. Without
    either it is where `causal_trace` finds what the model says now; with a block alone, the
    subject's last token. In models of few layers the answer is often read straight from the
    subject's embedding: an edit at the subject is then too late, one at the last token works and
    is bound to the wording. options: as in `edit_facts`. What else changes must be measured:
    paraphrases, neighbours, the loss on other text. Errors: DataError, ShapeError, NonFiniteError,
    GraphError, IndexRangeError. Source: Meng et al. 2022 (ROME), section 3.1, equations 2 to 4.
    """
    found = subject_places(subject, len(prompt))[-1]
    if block is None:
        with no_grad():
            said = int(model(np.asarray(prompt, np.int64)[None]).numpy()[0, -1].argmax())
        path, found = causal_trace(model, prompt, subject, said).where
        block = int(path.split(".")[1])
    wish = Wish(prompt, found if place is None else place, target)
    return edit_facts(model, [wish], block, covariance, text=text, **options)


def edit_facts(
    model: Any,
    wishes: Sequence[Wish],
    block: int,
    covariance: Array | None = None,
    *,
    text: Any = None,
    prefixes: Sequence[Sequence[int]] = ((),),
    steps: int = 40,
    learning_rate: float = 0.1,
    kl: float = 0.0625,
    decay: float = 0.5,
    on_progress: Callable[[int, int], None] | None = None,
) -> Edit:
    """One edit for several wishes at once: rank as many as there are subjects.

    prefixes: tokens put before each prompt, over which keys are averaged and values optimised. kl:
    weight of KL(edited || as it was) of what comes right after the subject, which keeps what the
    subject is; where the place is the prompt's last there is nothing to keep. decay: weight of
    |v* - v|^2 / |residual stream there|^2. learning_rate: in its root mean square. Two wishes with
    the same text up to the place contradict each other: a GraphError. Source: as `edit_fact`;
    several at once: Meng et al. 2023 (MEMIT), equation 14, here with the wishes met exactly.
    """
    down = _down(model, block)
    if covariance is None:
        if text is None:
            what = "neither a covariance of keys nor text"
            raise DataError(explain("edit_fact", what, remedy="give text: tokens (batch, time)"))
        covariance = key_covariance(model, text, block)
    keys: list[Array] = []
    values: list[Array] = []
    notes: list[str] = []
    for number, wish in enumerate(wishes):
        work = _Work(model, block, wish, prefixes)
        value, loss = work.optimised(steps, learning_rate, kl, decay)
        keys.append(work.key)
        values.append(value)
        notes.append(f"{list(wish.tokens)}: -log P of the target {loss[0]:.3g} -> {loss[1]:.3g}")
        if on_progress is not None:
            on_progress(number + 1, len(wishes))
    if not keys:
        raise DataError(explain("edit_fact", "there is no wish"))
    weight = down.weight.numpy()
    bias = 0.0 if down.bias is None else down.bias.numpy().astype(np.float64)
    new = least_change(weight, np.array(keys), np.array(values) - bias, covariance)
    path = f"blocks.{block}.feed_forward.down.weight"
    return Edit(model, {path: weight.copy()}, {path: new.astype(weight.dtype)}, tuple(notes))


def least_change(weight: Array, keys: Array, values: Array, covariance: Array) -> Array:
    """W' nearest to W with keys W' = values: W + C^-1 K^T (K C^-1 K^T)^-1 (V - K W), in float64.

    weight: (inputs, outputs). keys: (facts, inputs). values: (facts, outputs). covariance: C,
    (inputs, inputs), positive definite. It is the least of tr((W' - W)^T C (W' - W)). Errors:
    ShapeError, NonFiniteError, GraphError for keys that depend on each other.
    """
    w, k, v, c = (np.asarray(a, np.float64) for a in (weight, keys, values, covariance))
    k, v = np.atleast_2d(k), np.atleast_2d(v)
    inputs, outputs = w.shape
    if k.shape[1] != inputs or v.shape != (len(k), outputs) or c.shape != (inputs, inputs):
        what = f"weight {w.shape}, keys {k.shape}, values {v.shape}, covariance {c.shape}"
        raise ShapeError(explain("least_change", what))
    if not all(np.isfinite(a).all() for a in (w, k, v, c)):
        what = "weight, keys, values or covariance are not finite"
        raise NonFiniteError(explain("least_change", what))
    try:
        solved = np.linalg.solve(c, k.T)  # C^-1 K^T
        gram = k @ solved
        if np.linalg.cond(gram) > 1e12:
            raise np.linalg.LinAlgError
        return np.asarray(w + solved @ np.linalg.solve(gram, v - k @ w))
    except np.linalg.LinAlgError:
        what = f"{len(k)} keys depend on each other, or C has no inverse"
        remedy = "give each subject once, and C of more text or with a ridge"
        raise GraphError(explain("least_change", what, remedy=remedy)) from None


def key_covariance(model: Any, text: Any, block: int, mask: Any = None) -> Array:
    """C = E[k k^T] of the keys of a block's feed-forward over text, with a little ridge.

    text: tokens (batch, time). mask: which of them count, as tokens that are no padding. Shapes:
    (units, units), float64. Errors: GraphError for a model without such a block, DataError.
    """
    _down(model, block)
    tokens = np.asarray(text, np.int64)
    path = f"blocks.{block}.feed_forward.hidden"
    with no_grad():
        hidden = capture(model, tokens, path)[path].numpy()
    counted = np.ones(tokens.shape, bool) if mask is None else np.asarray(mask, bool)
    keys = hidden[counted].astype(np.float64)
    if not len(keys) or not np.isfinite(keys).all():
        raise DataError(explain("key_covariance", f"{len(keys)} keys, or some not finite"))
    found = keys.T @ keys / len(keys)
    ridge = RIDGE * max(float(np.trace(found)) / len(found), 1e-30)
    return np.asarray(found + ridge * np.eye(len(found)))


class _Work:
    """One wish in a model: its key, and the value that is looked for."""

    def __init__(
        self, model: Any, block: int, wish: Wish, prefixes: Sequence[Sequence[int]]
    ) -> None:
        self.model, self.path = model, f"blocks.{block}.feed_forward.output"
        given = wish.rows(prefixes)
        rows = [tokens for tokens, _ in given]
        self.tokens = np.zeros((len(rows), max(map(len, rows))), np.int64)
        for row, own in zip(self.tokens, rows, strict=True):
            row[: len(own)] = own
        self.last = np.array([len(r) - 1 for r in rows])
        self.places = np.array([place for _, place in given])
        self.is_inside = (self.places < self.last).astype(np.float32)
        each = np.arange(len(rows))
        hidden = f"blocks.{block}.feed_forward.hidden"
        stream = f"blocks.{block}.residual_after_feed_forward"
        with no_grad():
            found = capture(model, self.tokens, [hidden, self.path, stream])
        self.key = found[hidden].numpy()[each, self.places].astype(np.float64).mean(0)
        self.value = found[self.path].numpy()[each, self.places].mean(0)
        self.scale = float((found[stream].numpy()[each, self.places] ** 2).mean()) + 1e-12
        logits = found.output.numpy()
        self.shares = wish.shares(logits.shape[2]).astype(logits.dtype)
        self.essence = np.asarray(log_softmax(tensor(logits[each, self.places])).numpy())
        self.spot = np.zeros((*self.tokens.shape, 1), logits.dtype)
        self.spot[each, self.places] = 1

    def optimised(
        self, steps: int, learning_rate: float, kl: float, decay: float
    ) -> tuple[Array, tuple[float, float]]:
        """v*, (outputs,), by Adam from the value that is there; the target's loss at both ends."""

        def wanted(value: Tensor) -> tuple[Tensor, Tensor]:
            # What stands at the subject in every prefix is the value itself, as a memory gives it.
            put = {self.path: lambda x: x * (1 - self.spot) + value * self.spot}
            logits = look(self.model, self.tokens, (), put).output
            said, after = (log_softmax(_at(logits, p)) for p in (self.last, self.places))
            missed = -(said * self.shares).sum(-1).mean()
            drift = ((after.exp() * (after - self.essence)).sum(-1) * self.is_inside).mean()
            moved = ((value - self.value) ** 2).mean() * (1 / self.scale)
            return missed + drift * kl + moved * decay, missed

        step = jit(value_and_grad(wanted))
        value = self.value.astype(np.float64)
        first, second = np.zeros_like(value), np.zeros_like(value)
        losses = []
        for i in range(steps + 1):
            (total, missed), gradient = step(value.astype(self.value.dtype))
            losses.append(float(missed.item()))
            if not np.isfinite(total.item()):
                raise NonFiniteError(explain("edit_fact", f"the loss is {total.item()}"))
            if i == steps:
                break
            g = gradient.numpy().astype(np.float64)
            first, second = 0.9 * first + 0.1 * g, 0.99 * second + 0.01 * g * g
            fair = (first / (1 - 0.9 ** (i + 1))) / (np.sqrt(second / (1 - 0.99 ** (i + 1))) + 1e-8)
            value = value - learning_rate * self.scale**0.5 * fair
        return value, (losses[0], losses[-1])


def _at(logits: Tensor, places: Array) -> Tensor:
    """One row of each text: (batch, vocab)."""
    batch, _, vocab = logits.shape
    index = np.broadcast_to(places.reshape(-1, 1, 1), (batch, 1, vocab))
    return take_along_axis(logits, index, 1)[:, 0]


def _down(model: Any, block: int) -> Any:
    """The down projection of a block. Errors: GraphError."""
    parts = dict(model.named_modules()) if isinstance(model, Module) else {}
    found = parts.get(f"blocks.{block}.feed_forward")
    if not isinstance(found, FeedForward):
        blocks = sorted(p for p in parts if p.count(".") == 1 and p.startswith("blocks."))
        what = f"there is no feed-forward in block {block}"
        raise GraphError(explain("edit_fact", what, remedy=f"blocks: {', '.join(blocks)}"))
    return found.down
