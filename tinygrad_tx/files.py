"""Files that are the old one or the new one, never half of it; folders that one process holds."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # no such locks on this system: nobody is kept out there
    fcntl = None  # type: ignore[assignment]  # absent, and asked for below

__all__ = ["keep_as", "locked", "write_whole"]


def write_whole(path: Path, data: bytes | str | Iterable[bytes | memoryview]) -> None:
    """Writes beside `path`, then moves into place. Errors: OSError; then the old file stands.

    data: the whole, or its parts in order, for what is too large to stand in memory twice.
    Both the bytes and the name are on the disk when it returns: a power cut takes neither back.
    """
    raw = data.encode() if isinstance(data, str) else data
    parts = [raw] if isinstance(raw, bytes) else raw
    handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, 0o644)
        os.replace(beside, path)
        _sync_folder(path.parent)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def keep_as(path: Path, other: Path) -> None:
    """What stands at `path` also stands at `other`, at every instant the old or the new file.

    Without a copy where the file system has links. Errors: OSError.
    """
    beside = other.with_name(f".{other.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    try:
        os.link(path, beside)
    except OSError:
        write_whole(other, path.read_bytes())
        return
    os.replace(beside, other)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the file for this process until the end, or its death. Errors: BlockingIOError where
    another holds it, with what that one wrote into it."""
    with open(path, "a+", encoding="utf-8") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise BlockingIOError(file.read().strip()) from None
        file.truncate(0)
        file.write(f"process {os.getpid()}\n")
        file.flush()
        yield


def _sync_folder(path: Path) -> None:
    """The names in a folder; some systems cannot, and some file systems do not need it."""
    with contextlib.suppress(OSError, AttributeError):
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
