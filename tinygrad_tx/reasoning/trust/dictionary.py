"""Dictionary: a sparse autoencoder of a model's point, and what it costs the model to read it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import DataError, NonFiniteError, PointError, explain
from tinygrad_tx.jit import jit
from tinygrad_tx.nn import Module
from tinygrad_tx.reasoning.explain.stream import at_rest
from tinygrad_tx.reasoning.look import capture, intervene
from tinygrad_tx.reasoning.trust.intervals import bounds, interval, resampled
from tinygrad_tx.reasoning.trust.neurons import Example, Neurons, Strongest, Units
from tinygrad_tx.reasoning.trust.sparse_autoencoder import SparseAutoencoder, train_autoencoder
from tinygrad_tx.table import Table, shown_as_table
from tinygrad_tx.tasks.task import Figure
from tinygrad_tx.tensor import Tensor, log_softmax, no_grad, take_along_axis

__all__ = ["Dictionary", "learn_dictionary"]

Array = np.ndarray[Any, Any]
TextLoss = Callable[[Tensor, Tensor], Tensor]
"""(the model's output, tokens) -> a loss for each text."""


@shown_as_table
@dataclass(frozen=True)
class Dictionary:
    """What the features of a point are worth, on texts that they were not learnt from.

    explained: share of the activations' variance. active: features at work at a token (L0). dead:
    features never at work. loss, spliced, zeroed: the model's, nats, as it is, with the point
    written by features, and set to zero. recovered: (zeroed - spliced) / (zeroed - loss), None
    where zeroing does not hurt. Intervals are over texts.
    """

    path: str
    autoencoder: SparseAutoencoder
    explained: Figure
    active: Figure
    dead: Array
    loss: Figure
    spliced: Figure
    zeroed: Figure
    recovered: Figure | None
    features: Neurons

    def examples(self, feature: int) -> tuple[Example, ...]:
        """Where a feature is strongest. Errors: IndexRangeError."""
        return self.features.examples(self.path, feature)

    def examples_table(self, feature: int) -> Table:
        """The same, in context."""
        return self.features.examples_table(self.path, feature)

    def table(self) -> Table:
        named = {
            "share of variance explained": self.explained,
            "features at work at a token (L0)": self.active,
            "loss of the model (nats)": self.loss,
            "loss, the point written by features": self.spliced,
            "loss, the point set to zero": self.zeroed,
            "loss recovered": self.recovered,
        }
        rows = [(name, None if f is None else f.value, bounds(f)) for name, f in named.items()]
        rows.insert(2, ("dead features", float(len(self.dead)), None))
        notes = (
            f"{self.autoencoder.features} features, {self.features.tokens:,} held-out tokens.",
            "Another seed finds partly other features; a low error does not say what they mean.",
        )
        return Table(
            f"Features of {self.path}", ("measure", "value", "interval"), tuple(rows), notes
        )


def learn_dictionary(
    model: Module,
    texts: Any,
    held_out: Any,
    at: str,
    features: int,
    *,
    active: int | None = 8,
    penalty: float = 0.0,
    steps: int = 1000,
    rate: float = 3e-3,
    loss: TextLoss | None = None,
    examples: int = 10,
    context: int = 8,
    batch: int = 16,
    seed: int = 0,
    decode: Callable[[Sequence[int]], str] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Dictionary:
    """A sparse autoencoder learnt from a point's activations, measured on held-out texts.

    Shapes: texts, held_out (texts, time) tokens; the point has axes (batch, time, width). active,
    penalty, steps, rate: see `train_autoencoder`. loss: of each text, the mean over next tokens
    if not given. examples, context: of each feature. on_progress: steps of learning.
    Limits: activations of all texts are held in memory. Loss recovered is against zero, which is
    far from anything the model has seen, so that it flatters: see also the losses themselves.
    Errors: PointError, DataError, NonFiniteError. Source: Bricken et al. 2023; Gao et al. 2024.
    """
    tokens, held = np.asarray(texts), np.asarray(held_out)
    for name, given in (("texts", tokens), ("held_out", held)):
        if given.ndim != 2 or not given.size:
            what = f"{name} are {given.shape}, not (texts, time)"
            raise DataError(explain("learn_dictionary", what))
    with at_rest(model):
        values = _captured(model, tokens, at, batch)
        autoencoder = train_autoencoder(
            values.reshape(-1, values.shape[-1]), features, active=active, penalty=penalty,
            steps=steps, rate=rate, seed=seed, on_progress=on_progress,
        )  # fmt: skip
        seen = _captured(model, held, at, batch)
        losses = _losses(model, held, at, autoencoder, loss or next_token_loss, batch)
    strongest, errors, spreads, at_work = Strongest(examples, context), [], [], []
    centre = seen.mean((0, 1))
    encode, write = jit(autoencoder.encode), jit(autoencoder.decode)
    for first in range(0, len(held), batch):
        x = seen[first : first + batch]
        with no_grad():
            code = encode(x)
            missed = x.astype(np.float64) - write(code).numpy()
        strongest.read(held[first : first + batch], code.numpy())
        errors.append((missed**2).sum((1, 2)))
        spreads.append(((x - centre).astype(np.float64) ** 2).sum((1, 2)))
        at_work.append((code.numpy() > 0).sum(-1).mean(1))
    error, spread = np.concatenate(errors), np.concatenate(spreads)
    statistics = strongest.statistics()
    units = Units(at, **statistics, strongest=strongest)
    found = Neurons((units,), strongest.count, 0.0, decode)
    return Dictionary(
        at, autoencoder,
        resampled(lambda rows: 1 - _share(error[rows], spread[rows]), len(held)),
        interval(np.concatenate(at_work)), units.dead,
        interval(losses[0]), interval(losses[1]), interval(losses[2]), _recovered(losses), found,
    )  # fmt: skip


def next_token_loss(output: Tensor, tokens: Tensor) -> Tensor:
    """Mean cross-entropy of the next tokens, nats. Shapes: (texts, time, vocab) -> (texts,)."""
    if output.ndim != 3 or output.shape[1] < 2:
        what = f"an output {output.shape} has no next tokens"
        raise DataError(explain("learn_dictionary", what, remedy="pass loss=(output, tokens)"))
    rows = log_softmax(output[:, :-1])
    return -take_along_axis(rows, tokens[:, 1:][..., None], -1)[..., 0].mean(-1)


def _share(part: Array, whole: Array) -> float:
    total = float(whole.sum())
    return float(part.sum()) / total if total else float("nan")


def _recovered(losses: Array) -> Figure | None:
    """losses (3, texts): as it is, spliced, zeroed. None if zeroing did not raise the loss."""
    own, spliced, zeroed = losses
    if not (zeroed - own).mean() > 0:
        return None
    return resampled(lambda r: _share((zeroed - spliced)[r], (zeroed - own)[r]), len(own))


def _captured(model: Module, tokens: Array, at: str, batch: int) -> Array:
    """(texts, time, width)."""
    step = jit(lambda t: dict(capture(model, t, at)))
    parts = []
    for first in range(0, len(tokens), batch):
        with no_grad():
            found = step(tokens[first : first + batch])
        if len(found) != 1:
            what = f"{at!r} names {len(found)} points"
            raise PointError(explain("learn_dictionary", what, remedy="name one"))
        value = np.asarray(next(iter(found.values())).numpy())
        if value.ndim != 3 or value.shape[1] != tokens.shape[1]:
            what = f"{at} is {value.shape}: no width at each of the tokens"
            raise PointError(explain("learn_dictionary", what))
        if not np.isfinite(value).all():
            raise NonFiniteError(explain("learn_dictionary", f"{at} is not finite"))
        parts.append(value)
    return np.concatenate(parts)


def _losses(
    model: Module, tokens: Array, at: str, autoencoder: SparseAutoencoder, loss: TextLoss,
    batch: int,
) -> Array:  # fmt: skip
    """(3, texts): as it is, with the point written by features, with it at zero."""

    def step(some: Tensor) -> list[Tensor]:
        with no_grad():
            own = model(some)
            written = intervene(model, some, {at: autoencoder})
            zeroed = intervene(model, some, {at: lambda x: x * 0})
            return [loss(o, some) for o in (own, written, zeroed)]

    run, parts = jit(step), []
    for first in range(0, len(tokens), batch):
        found = run(tokens[first : first + batch])
        parts.append(np.stack([f.numpy().astype(np.float64) for f in found]))
    return np.concatenate(parts, 1)
