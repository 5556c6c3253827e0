"""What a trained model answers for all examples, a batch of fixed shape at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_tx.jit import jit
from tinygrad_tx.nn import Module
from tinygrad_tx.tensor import Tensor, no_grad

__all__ = ["predict"]

Array = np.ndarray[Any, Any]


def predict(
    model: Module,
    answer: Callable[..., Tensor],
    arrays: Sequence[Array],
    batch: int = 64,
) -> Array:
    """`answer(*some rows of each array)` for all rows, without dropout: (rows, ...).

    The last batch is filled up with the last row, whose answers are left out.
    """

    def quiet(*some: Tensor) -> Tensor:
        with no_grad():
            return answer(*some)

    model.eval()
    captured, count = jit(quiet), len(arrays[0])
    found = []
    for start in range(0, count, batch):
        rows = np.minimum(np.arange(start, start + batch), count - 1)
        found.append(captured(*(a[rows] for a in arrays)).numpy().copy())
    return np.concatenate(found)[:count]
