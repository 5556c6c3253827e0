"""Checkpoints written while training goes on."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from tinygrad_tx.train.run import RunFolder

__all__ = ["Writer"]


class Writer:
    """Writes one checkpoint at a time beside the training; the arrays must be copies.

    What went wrong with one is raised where the next is begun, or at the end.
    """

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._last: Future[None] | None = None

    def save(self, state: Mapping[str, Any], notes: Mapping[str, str]) -> None:
        """Errors: CheckpointError of the one before."""
        self.wait()
        self._last = self._pool.submit(self._run.save_checkpoint, state, notes)

    def wait(self) -> None:
        """Until the last one stands. Errors: CheckpointError."""
        last, self._last = self._last, None
        if last is not None:
            last.result()

    def close(self) -> None:
        """Errors: CheckpointError."""
        try:
            self.wait()
        finally:
            self._pool.shutdown()
