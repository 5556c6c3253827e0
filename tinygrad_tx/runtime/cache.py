"""The folder of compiled kernels: which it is, who compiles a kernel, and how much it may hold.

A kernel is a .py file and what Numba keeps of it in `__pycache__`; both go together. What was used
longest ago goes first.
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

try:
    import fcntl
except ImportError:  # no such locks on this system: at worst two processes compile the same
    fcntl = None  # type: ignore[assignment]  # absent, and asked for below

__all__ = ["folder", "index_files", "is_compiled", "locked", "note_use", "trim", "write_text"]

KEPT = 0.8  # of the bound, after a trim: so that not every new kernel trims again


@cache
def folder() -> Path:
    """The cache folder, or a temporary one where it cannot be written."""
    wanted = config.cache / "kernels"
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=wanted):
            return wanted
    except OSError as error:
        fallback = Path(tempfile.mkdtemp(prefix="tinygrad_tx_"))
        print(
            f"tinygrad_tx: cannot write {wanted} ({error}); compiling to {fallback}",
            file=sys.stderr,
        )
        return fallback


def index_files(path: Path) -> list[Path]:
    """What Numba wrote for the kernel at `path`."""
    return [*(path.parent / "__pycache__").glob(f"{path.stem}.*.nb?")]


def is_compiled(path: Path) -> bool:
    """Whether the kernel at `path` is there whole: Numba writes its index first, its code last."""
    return any(file.suffix == ".nbc" for file in index_files(path))


def write_text(path: Path, text: str) -> None:
    """Beside, then into place: other processes see all of it or nothing.

    Of two processes that write the same text at once the first one's file stays: a kernel is
    locked by its file, which must not change under the lock.
    """
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, suffix=".tmp", delete=False, encoding="utf-8"
    ) as out:
        out.write(text)
    # Numba stamps cache entries with the time of the file: the same text must keep the same time.
    os.utime(out.name, (1_000_000_000, 1_000_000_000))
    try:
        os.link(out.name, path)
    except OSError:  # it is there by now, or this file system knows no links
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            os.replace(out.name, path)
            return
    os.unlink(out.name)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keeps other processes from compiling the kernel at `path`; its end, or a death, frees it."""
    with open(path, "rb") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def note_use(path: Path) -> None:
    """Counts as used now: the time of its index says when."""
    for file in index_files(path):
        if file.suffix == ".nbi":
            with contextlib.suppress(OSError):
                os.utime(file)


def trim(where: Path, bound: int, kept: set[str]) -> int:
    """Removes kernels until the folder takes less than `bound` bytes; how many went.

    `kept`: stems of kernels that this process uses. What another process holds stays usable there.
    """
    groups: dict[str, list[tuple[Path, os.stat_result]]] = defaultdict(list)
    for file in (*where.glob("*.py"), *where.glob("*.tmp"), *(where / "__pycache__").glob("*")):
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
                file.unlink(missing_ok=True)
    return gone
