"""Small trainings: one captured step, repeated; nothing is saved.

Long runs, which must survive, are those of `fit`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_tx.data import Batch
from tinygrad_tx.jit import jit
from tinygrad_tx.optim import AdamW, clip_grad_norm
from tinygrad_tx.tensor import Tensor, require_finite

__all__ = ["trained_by"]


def trained_by(
    model: Any,
    draw: Callable[[], Batch],
    steps: int,
    rate: Callable[[int], float],
    weight_decay: float = 0.0,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[float]:
    """Trains all parameters of `model` with AdamW, clipped at 1; the loss of each step, in nats.

    rate: of each step, from 0. Whether dropout is on is the caller's to say. on_progress gets
    (steps done, all). Errors: NonFiniteError.
    """
    optimizer = AdamW(model.parameters(), rate(0), weight_decay=weight_decay)

    def step(*batch: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss: Tensor = model.loss(*batch)
        loss.backward()
        clip_grad_norm(optimizer.parameters, 1.0)
        optimizer.step()
        return require_finite(loss, "loss")

    captured, losses = jit(step), []
    for i in range(steps):
        optimizer.lr = rate(i)
        losses.append(float(captured(*draw()).item()))
        if on_progress is not None:
            on_progress(i + 1, steps)
    return losses
