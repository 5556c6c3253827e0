"""The folder of compiled kernels: which it is, who compiles a kernel, and how much it may hold.

A kernel is a .py file, to be read by people, and a .kernel file, which is loaded; both go together.
What was used longest ago goes first. Where the folder is of no use kernels live in memory alone.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tinygrad_tx.config import config
from tinygrad_tx.runtime.private import make_private, why_not_private

try:
    import fcntl
except ImportError:  # no such locks on this system: at worst two processes compile the same
    fcntl = None  # type: ignore[assignment]  # absent, and asked for below

__all__ = ["files", "folder", "locked", "note_use", "put", "put_text", "trim"]

KEPT = 0.8  # of the bound, after a trim: so that not every new kernel trims again


@cache
def folder() -> Path | None:
    """The cache folder; None where others could write it, or where none can be made."""
    wanted = (config.cache / "kernels").absolute()
    try:
        make_private(wanted)
        reason = why_not_private(wanted)
    except OSError as error:
        reason = str(error)
    if reason:
        _say(f"the cache is not used: {reason}; set TINYGRAD_TX_CACHE to a folder of your own")
    return None if reason else wanted


@cache
def _say(what: str) -> None:
    """Once for each text."""
    print(f"tinygrad_tx: {what}. Kernels are compiled anew in every process.", file=sys.stderr)


def files() -> list[Path]:
    """All files of the cache; those of versions that let Numba write into `__pycache__` too."""
    where = folder()
    return [f for f in where.rglob("*") if f.is_file()] if where is not None else []


def put(path: Path, data: bytes) -> None:
    """Beside, then into place: other processes see all of it or nothing.

    Not synced: what a power cut leaves of it fails its digest. What cannot be written (a full disk,
    a read-only folder) is said and left out: the kernel is in memory.
    """
    with contextlib.ExitStack() as undo:
        try:
            beside = _beside(path, data)
            undo.callback(beside.unlink, missing_ok=True)
            os.replace(beside, path)
        except OSError as error:
            _say(f"cannot keep kernels in {path.parent} ({error.strerror})")


def put_text(path: Path, text: str) -> None:
    """As `put`; of two processes that write the same text at once the first one's file stays: a
    kernel is locked by its file, which must not change under the lock."""
    data = text.encode()
    with contextlib.ExitStack() as undo:
        try:
            if path.exists() and path.read_bytes() == data:
                return
            beside = _beside(path, data)
            undo.callback(beside.unlink, missing_ok=True)
            try:
                os.link(beside, path)
            except OSError:  # it is there by now, or this file system knows no links
                if not path.exists() or path.read_bytes() != data:
                    os.replace(beside, path)
        except OSError as error:
            _say(f"cannot keep kernels in {path.parent} ({error.strerror})")


def _beside(path: Path, data: bytes) -> Path:
    """A file with the data in the same folder, for this user alone. Errors: OSError."""
    path.parent.mkdir(0o700, parents=True, exist_ok=True)  # somebody may have cleared the cache
    handle, name = tempfile.mkstemp(suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
    except OSError:
        os.unlink(name)
        raise
    return Path(name)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keeps other processes from compiling the kernel at `path`; its end, or a death, frees it.

    Where nothing can be locked (no file, no such locks) two processes may compile the same.
    """
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):
            file = held.enter_context(open(path, "rb"))
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def note_use(path: Path) -> None:
    """Counts as used now: the time of its file says when."""
    with contextlib.suppress(OSError):
        os.utime(path)


def trim(where: Path, bound: int, kept: set[str]) -> int:
    """Removes kernels until the folder takes less than `bound` bytes; how many went.

    `kept`: stems of kernels that this process uses. What another process holds stays usable there.
    """
    groups: dict[str, list[tuple[Path, os.stat_result]]] = defaultdict(list)
    for file in where.rglob("*.*"):
        with contextlib.suppress(OSError):  # another process trims as well
            groups[file.name.split(".")[0]].append((file, file.stat()))
    total = sum(stat.st_size for files in groups.values() for _, stat in files)
    if total <= bound:
        return 0
    gone = 0
    for stem, files in sorted(groups.items(), key=lambda g: max(s.st_mtime for _, s in g[1])):
        if total <= KEPT * bound:
            break
        if stem not in kept:
            gone += 1
            for file, stat in files:
                total -= stat.st_size
                with contextlib.suppress(OSError):
                    file.unlink()
    return gone
