"""The captured step: gradients of one batch or of several, clipped, and the optimiser's update."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from tinygrad_tx.data import Batch
from tinygrad_tx.distributed import Shards
from tinygrad_tx.errors import NonFiniteError
from tinygrad_tx.jit import Jitted, Plan, jit
from tinygrad_tx.optim import AdamW, Average, clip_grad_norm, grad_norm
from tinygrad_tx.tensor import Tensor, no_grad, require_finite, tensor, where, zeros_like

__all__ = ["Step", "StepError"]


class StepError(NonFiniteError):
    """A step that has changed no weight, and the batch at which it failed."""

    def __init__(self, error: NonFiniteError, batch: Batch) -> None:
        super().__init__(str(error))
        self.batch = batch


class Step:
    """Trains a model whose `loss(*batch)` is a number.

    With `accumulate` batches a step their gradients are added up in memory that is kept, one batch
    after the other, and the mean is used: as if they were one batch, where each counts as many
    tokens in its loss.
    """

    def __init__(
        self,
        model: Any,
        shards: Shards,
        optimizer: AdamW,
        clip: float,
        accumulate: int = 1,
        average: Average | None = None,
    ) -> None:
        self.model, self.shards, self.optimizer = model, shards, optimizer
        self.clip, self.average = clip, average
        self._share = 1 / accumulate
        self._sums = [zeros_like(p) for p in shards.parameters] if accumulate > 1 else []
        self._loss = tensor(np.float32(0))
        self._begin, self._go_on = jit(partial(self._add, True)), jit(partial(self._add, False))
        self._finish = jit(self._update)

    def plan(self, batch: Batch) -> Plan:
        """What a step, or the end of one of several batches, will do."""
        return self._finish.plan(_limit(), *self.shards.group.rows(batch))

    def __call__(self, batches: Sequence[Batch], limit: float) -> tuple[float, float]:
        """The mean loss, and the norm of the gradients before they were clipped.

        limit: a loss above counts as not finite. Errors: StepError.
        """
        for i, batch in enumerate(batches[:-1]):
            self._run(self._go_on if i else self._begin, batch, limit)
        loss, norm = self._run(self._finish, batches[-1], limit)
        return loss.item(), norm.item()

    def _run(self, part: Jitted[..., Any], batch: Batch, limit: float) -> tuple[Tensor, Tensor]:
        try:
            loss, norm = part(_limit(limit), *self.shards.group.rows(batch))
        except NonFiniteError as error:
            raise StepError(error, batch) from None
        return loss, norm

    def _gradients(self, batch: Sequence[Tensor]) -> Tensor:
        """Leaves them with the parameters; the loss of this rank's rows."""
        self.model.train()
        self.shards.zero_grad()
        with self.shards.drawing():
            loss: Tensor = self.model.loss(*batch)
        loss.backward()
        return loss

    def _checked(
        self, limit: Tensor, loss: Tensor, having_gradients: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """The mean loss of all ranks, which must be usual, and the norm of all their gradients,
        which must be finite: a batch that fails is known while it is at hand, by all alike."""
        loss, norm = self.shards.agreed(loss, grad_norm(having_gradients))
        loss = require_finite(where(loss > limit, float("inf"), loss), "loss")
        return loss, require_finite(norm, "gradient norm")

    def _add(self, is_first: bool, limit: Tensor, *batch: Tensor) -> tuple[Tensor, Tensor]:
        """Adds to the sums; the first batch begins them, whatever they were."""
        loss = self._gradients(batch)
        loss, norm = self._checked(limit, loss, self.shards.parameters)
        with no_grad():
            self._loss.assign_(loss if is_first else self._loss + loss)
            for total, parameter in zip(self._sums, self.shards.parameters, strict=True):
                if parameter.grad is not None:
                    total.assign_(parameter.grad if is_first else total + parameter.grad)
        return loss, norm

    def _update(self, limit: Tensor, *batch: Tensor) -> tuple[Tensor, Tensor]:
        loss = self._gradients(batch)
        if self._sums:
            with no_grad():
                for total, parameter in zip(self._sums, self.shards.parameters, strict=True):
                    if parameter.grad is not None:
                        parameter.grad = (total + parameter.grad) * self._share
        self.shards.reduce()
        loss, norm = self._checked(limit, loss, self.shards.pieces)
        if self._sums:
            with no_grad():
                loss = (self._loss + loss) * self._share
        clip_grad_norm(self.shards.pieces, self.clip, norm)
        self.optimizer.step()
        self.shards.spread()
        if self.average is not None:
            self.average.update()
        return loss, norm


def _limit(limit: float = float("inf")) -> Any:
    """As the argument of a step: what changes must not be a constant of it."""
    return np.array(limit, np.float32)
