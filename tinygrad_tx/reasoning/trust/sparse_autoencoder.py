"""SparseAutoencoder: activations written as sums of a few out of many learnt directions.

    code = top_k(relu((x - b) E + c))         Gao et al. 2024, section 2.2
    code = relu((x - b) E + c), L1 penalty    Bricken et al. 2023
    x'   = b + code D, rows of D of length 1

What it costs the model to read x' in place of x says how much of what the model uses is in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_tx.errors import DataError, NonFiniteError, ShapeError, explain
from tinygrad_tx.functional import value_and_grad
from tinygrad_tx.jit import jit
from tinygrad_tx.nn import Module
from tinygrad_tx.optim import Adam
from tinygrad_tx.tensor import Tensor, no_grad, relu, sqrt, tensor, topk, where
from tinygrad_tx.tensor.tensor import as_tensor

__all__ = ["SparseAutoencoder", "train_autoencoder"]

Array = np.ndarray[Any, Any]


class SparseAutoencoder(Module):
    """`model(x)` gives x as the dictionary can write it. Shapes: (..., width) -> the same.

    active: features at work at once (top-k); None: as many as are above 0. decoder (features,
    width): the dictionary, rows of length 1. scale: what x is divided by first, so that learning
    does not depend on the activations' size.
    """

    def __init__(self, width: int, features: int, active: int | None, seed: int = 0) -> None:
        super().__init__()
        if width < 1 or features < 1 or not (active is None or 1 <= active <= features):
            what = f"width {width}, {features} features, {active} of them active"
            raise ShapeError(explain("SparseAutoencoder", what, remedy="1 <= active <= features"))
        rng = np.random.default_rng(seed)
        rows = rng.normal(size=(features, width))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        self.active, self.features = active, features
        # The encoder starts as the decoder's transpose: few features are dead then (Gao, A.1).
        self.encoder = tensor(rows.T.astype(np.float32), requires_grad=True)
        self.threshold = tensor(np.zeros(features, np.float32), requires_grad=True)
        self.decoder = tensor(rows.astype(np.float32), requires_grad=True)
        self.centre = tensor(np.zeros(width, np.float32), requires_grad=True)
        self.scale = tensor(np.ones((), np.float32), requires_grad=True)

    def encode(self, x: Any) -> Tensor:
        """The code, (..., features), at least 0. Of equal features at the edge all are kept."""
        scaled = (as_tensor(x) - self.centre) / self.scale
        before = scaled @ self.encoder + self.threshold
        code = relu(before)
        if self.active is None or self.active == self.features:
            return code
        least = topk(before, self.active)[0][..., self.active - 1 : self.active].detach()
        return where(before >= least, code, code * 0)

    def decode(self, code: Any) -> Tensor:
        """(..., features) -> (..., width)."""
        return as_tensor(code) @ self.decoder * self.scale + self.centre

    def forward(self, x: Any) -> Tensor:
        return self.decode(self.encode(x))


def train_autoencoder(
    values: Any,
    features: int,
    *,
    active: int | None = 8,
    penalty: float = 0.0,
    steps: int = 1000,
    rows: int = 256,
    rate: float = 3e-3,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> SparseAutoencoder:
    """A dictionary learnt from activations: the mean squared error and a penalty are minimised.

    Shapes: values (examples, width). active: of top-k; None for ReLU with `penalty` times the sum
    of the code. Features that were not at work for a tenth of the steps start anew at badly
    written examples, until half of the steps are done (Bricken et al. 2023, resampling).
    Limits: another seed finds partly other features; more features split those of fewer. Nothing
    says that the model uses them: see `sparse_autoencoder`.
    Errors: DataError, ShapeError, NonFiniteError.
    """
    x = np.asarray(values, np.float32)
    if x.ndim != 2 or not len(x) or steps < 1 or rows < 1:
        what = f"values are {x.shape}, {steps} steps of {rows} rows"
        raise DataError(explain("train_autoencoder", what, remedy="give (examples, width)"))
    if not np.isfinite(x).all():
        raise NonFiniteError(explain("train_autoencoder", "some values are not finite"))
    trained = SparseAutoencoder(x.shape[1], features, active, seed)
    centre = x.mean(0)
    spread = float(np.sqrt(((x - centre) ** 2).mean()))
    if not spread:
        what = "all examples are the same"
        raise DataError(explain("train_autoencoder", what, remedy="give more examples"))
    trained.centre.assign_(centre)
    trained.scale.assign_(np.float32(spread))
    trainer, rng = _Trainer(trained, penalty, rate), np.random.default_rng((seed, 1))
    fired, every = np.zeros(features, bool), max(1, steps // 10)
    for step in range(steps):
        trainer.optimizer.lr = rate * min(1.0, 5 * (1 - step / steps))
        batch = x[rng.integers(0, len(x), rows)]
        loss, used = trainer.step(batch)
        if not np.isfinite(loss.item()):
            what = f"the loss is {loss.item()} after {step} steps"
            raise NonFiniteError(explain("train_autoencoder", what, remedy="lower the rate"))
        fired |= np.asarray(used.numpy()) > 0
        if (step + 1) % every == 0:
            if step < steps // 2:
                _revive(trained, np.flatnonzero(~fired), batch, rng)
            fired[:] = False
        if on_progress is not None:
            on_progress(step + 1, steps)
    return trained


class _Trainer:
    """One captured step. The scale is data, not learnt."""

    def __init__(self, model: SparseAutoencoder, penalty: float, rate: float) -> None:
        self.model, self.penalty = model, penalty
        self.own = {n: p for n, p in model.named_parameters() if n != "scale"}
        self.optimizer = Adam(self.own.values(), rate)
        self.step = jit(self._step)

    def _step(self, x: Tensor) -> tuple[Tensor, Tensor]:
        def loss(values: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
            with self.model.exchanged(values):
                code = self.model.encode(x)
                missed = (self.model.decode(code) - x) / self.model.scale
            error = (missed * missed).mean()
            return error + self.penalty * code.sum(-1).mean(), code.sum(0)

        (value, used), found = value_and_grad(loss)(self.own)
        for name, parameter in self.own.items():
            parameter.grad = found[name]
        self.optimizer.step()
        with no_grad():
            rows = self.model.decoder
            rows.assign_(rows / sqrt((rows * rows).sum(-1, keepdims=True) + 1e-12))
        return value, used


def _revive(model: SparseAutoencoder, dead: Array, x: Array, rng: np.random.Generator) -> None:
    """Dead features point at what is missing of examples, drawn by their squared error."""
    with no_grad():
        missed = (x - model(x).numpy()) / model.scale.item()
    size = np.linalg.norm(missed, axis=1)
    if not len(dead) or size.max() < 1e-6:
        return
    some = missed[rng.choice(len(x), len(dead), p=size**2 / (size**2).sum())]
    some = some / np.maximum(np.linalg.norm(some, axis=1, keepdims=True), 1e-12)
    state = model.state_dict()
    encoder, decoder = np.array(state["encoder"]), np.array(state["decoder"])
    threshold = np.array(state["threshold"])
    encoder[:, dead], decoder[dead], threshold[dead] = some.T, some, 0
    model.load_state_dict({**state, "encoder": encoder, "decoder": decoder, "threshold": threshold})
