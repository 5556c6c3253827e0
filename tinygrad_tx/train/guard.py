"""Guards: what to do when a step fails, because of a NaN, an infinity or a leap of the loss.

A step that fails has changed nothing: weights, moments and averages are those before it.
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any

import numpy as np

from tinygrad_tx.errors import NonFiniteError
from tinygrad_tx.untrusted import parse_json

__all__ = ["POLICIES", "PassedOver", "Spikes", "Tries"]

POLICIES = ("stop", "skip", "rollback")
"""stop: raise, with the batch kept for `tinygrad-tx replay`. skip: leave the batch out. rollback:
go back to the last checkpoint, and on with other batches."""

WINDOW, LEAST = 100, 20
SMALL = 0.01
KEPT = 100


class Spikes:
    """The largest loss that is still usual: `factor` times the median of the last WINDOW losses.

    Infinite for a factor of 0, and until LEAST losses were seen: the first ones fall fast. Never
    below SMALL of the loss that training began at: where a text is known by heart the median is
    all but 0, and many times that is nothing to stop for.
    """

    def __init__(self, factor: float) -> None:
        self.factor = factor
        self.losses: deque[float] = deque(maxlen=WINDOW)

    def limit(self, first: float) -> float:
        """first: the loss before the first step, NaN where it is not known."""
        if self.factor == 0 or len(self.losses) < LEAST:
            return float("inf")
        return float(np.fmax(self.factor * np.median(self.losses), SMALL * first))

    def note(self, loss: float) -> None:
        self.losses.append(loss)

    def state(self) -> str:
        """For a checkpoint: a run that goes on sees the same limits."""
        return json.dumps(list(self.losses))

    def restore(self, state: str) -> None:
        """Errors: ValueError for what `state` did not write."""
        found = parse_json(state)
        if not isinstance(found, list) or not all(type(v) in (int, float) for v in found):
            raise ValueError("the last losses are no numbers")
        self.losses = deque(map(float, found[-WINDOW:]), maxlen=WINDOW)


class Tries:
    """Counts failures without progress between them: beyond `most` there is no use in going on."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.count = 0

    def failed(self, error: NonFiniteError) -> None:
        """Errors: the error itself, where it was one too many."""
        self.count += 1
        if self.count > self.most:
            before = f"{self.most} failures in a row were passed over before it"
            raise NonFiniteError(f"{str(error)[:-1]}; {before}.") from None

    def worked(self) -> None:
        self.count = 0


class PassedOver(deque[dict[str, Any]]):
    """The last KEPT steps that failed and were left out or gone back from: step, policy, reason.

    total: of all of them. A run of a million steps may pass over thousands.
    """

    def __init__(self) -> None:
        super().__init__(maxlen=KEPT)
        self.total = 0

    def note(self, step: int, policy: str, reason: str) -> None:
        self.append({"step": step, "policy": policy, "reason": reason})
        self.total += 1

    def state(self) -> str:
        """For a checkpoint."""
        return json.dumps({"total": self.total, "last": list(self)})

    def restore(self, state: str) -> None:
        """Errors: TypeError, ValueError or KeyError for what `state` did not write."""
        found = parse_json(state)
        if isinstance(found, list):  # a run that an earlier version began
            found = {"total": len(found), "last": found}
        last = [dict(step) for step in found["last"]]
        self.clear()
        self.extend(last)
        self.total = int(found["total"])
