"""Settings of the process: threads, the kernel cache, what to say while compiling."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

__all__ = ["Config", "config"]


def _processors() -> int:
    """Those that this process may use; macOS and Windows know only how many there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Config:
    """`tx.config`. Environment: TINYGRAD_TX_THREADS, TINYGRAD_TX_CACHE, TINYGRAD_TX_CACHE_MB,
    TINYGRAD_TX_RANK_TIMEOUT."""

    def __init__(self) -> None:
        self._threads = self._checked(os.environ.get("TINYGRAD_TX_THREADS", _processors()))
        self.on_compile: Callable[[str], None] | None = None
        """Called with the name of each kernel that has to be compiled, before it is."""

    @property
    def threads(self) -> int:
        """Threads that a Program may use. Results do not depend on it."""
        return self._threads

    @threads.setter
    def threads(self, count: int) -> None:
        self._threads = self._checked(count)

    @property
    def cache(self) -> Path:
        """Folder of compiled kernels."""
        given = os.environ.get("TINYGRAD_TX_CACHE")
        if given:
            return Path(given)
        home = os.environ.get("XDG_CACHE_HOME")
        return (Path(home) if home else Path.home() / ".cache") / "tinygrad_tx"

    @property
    def cache_bytes(self) -> int:
        """What compiled kernels may take on disk; those used longest ago go first."""
        return 1_000_000 * self._checked(os.environ.get("TINYGRAD_TX_CACHE_MB", 512), "cache size")

    @property
    def rank_timeout(self) -> int:
        """Seconds that a process of a group waits for the others before it ends the job."""
        return self._checked(os.environ.get("TINYGRAD_TX_RANK_TIMEOUT", 600), "rank timeout")

    @staticmethod
    def _checked(given: int | str, what: str = "threads") -> int:
        try:
            count = int(given)
        except (TypeError, ValueError):
            count = 0
        if count < 1:
            raise ValueError(f"{what}: {given!r} is not a whole number of at least 1.")
        return count


config = Config()
"""The settings of this process."""
