"""MpiGroup: a Group over MPI. mpi4py, the extra `distributed`, is imported when one is made."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.config import config
from tinygrad_tx.distributed.group import Array, Group, Request
from tinygrad_tx.errors import GroupError, explain

__all__ = ["MpiGroup"]

SPIN_SECONDS, PAUSE_SECONDS = 1e-3, 5e-5
"""A wait asks again and again, then lets others have the core: MPI's own waits never do."""
PIECE = 1 << 30  # bytes in one message: counts are 32-bit in MPI before version 4


@dataclass(frozen=True)
class _Running:
    request: Any

    def is_done(self) -> bool:
        return bool(self.request.Test())


class MpiGroup(Group):
    """All processes that `mpirun` started."""

    def __init__(self) -> None:
        from mpi4py import MPI  # begins MPI

        self._mpi = MPI
        self._comm = MPI.COMM_WORLD.Dup()
        self._end = MPI.COMM_WORLD.Dup()
        self.rank, self.size = self._comm.rank, self._comm.size
        beside = self._comm.Split_type(MPI.COMM_TYPE_SHARED)
        places = beside.allgather(sorted(os.sched_getaffinity(0)))
        beside.Free()
        self.beside = len(places)
        """Ranks on this machine."""
        own = places.count(sorted(os.sched_getaffinity(0)))
        self.cores = max(1, len(os.sched_getaffinity(0)) // own)
        """Of this rank: those it may run on, divided among the ranks that may run on the same."""
        crowded = self.beside > len({core for place in places for core in place})
        self._spin = 0.0 if crowded else SPIN_SECONDS

    def start_exchange(self, given: Array, taken: Array) -> Request:
        return _Running(self._comm.Ialltoall(given, taken))

    def start_gather(self, given: Array, taken: Array) -> Request:
        return _Running(self._comm.Iallgather(given, taken))

    def wait(self, request: Request) -> None:
        began = time.monotonic()
        while not request.is_done():
            waited = time.monotonic() - began
            if waited > config.rank_timeout:
                what = f"rank {self.rank} heard nothing from another rank for {waited:.0f} s"
                remedy = "look at the others; TINYGRAD_TX_RANK_TIMEOUT is how long to wait"
                raise GroupError(explain("group", what, remedy=remedy))
            if waited > self._spin:
                time.sleep(PAUSE_SECONDS)

    def broadcast(self, data: bytes) -> bytes:
        size = np.array([len(data)], np.int64)
        self.wait(_Running(self._comm.Ibcast(size)))
        found = np.frombuffer(data, np.uint8).copy() if self.is_first else np.empty(size, np.uint8)
        for low in range(0, len(found), PIECE):
            self.wait(_Running(self._comm.Ibcast(found[low : low + PIECE])))
        return found.tobytes()

    def ends_alike(self, seconds: float) -> bool:
        """Whether all ranks come to their end within so many seconds."""
        request, began = self._end.Ibarrier(), time.monotonic()
        while not request.Test():
            if time.monotonic() - began > seconds:
                return False
            time.sleep(PAUSE_SECONDS)
        return True

    def abort(self, code: int) -> None:
        """Ends all ranks, whatever they wait for."""
        self._mpi.COMM_WORLD.Abort(code)
