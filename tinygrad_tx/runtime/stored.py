"""A compiled kernel in one file, read back only if it is whole and ours.

What Numba keeps of a kernel is a pickle: to read it is to run it. So it is Numba's cache object
that we replace and not its files that we check: exactly the bytes that were verified are unpickled,
and neither NUMBA_CACHE_DIR nor a .pyc leads elsewhere. See docs/safety.md for what this keeps out.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba.core.caching import CompileResultCacheImpl
from numba.core.serialize import dumps

from tinygrad_tx.runtime.private import is_ours

__all__ = ["StoredKernel", "sealed", "unsealed"]

HEAD = b"tinygrad_tx kernel 1\n"
DIGEST_BYTES = hashlib.sha256().digest_size

_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # a pipe in its place does not hold us
    | getattr(os, "O_BINARY", 0)
)


def sealed(stem: str, payload: bytes) -> bytes:
    """The file of `payload` under the name `stem`."""
    return HEAD + _digest(stem, payload) + payload


def unsealed(stem: str, raw: bytes) -> bytes | None:
    """The payload; None if a bit of it has changed, or if it was another kernel's."""
    payload = raw[len(HEAD) + DIGEST_BYTES :]
    return payload if raw == sealed(stem, payload) else None


def _digest(stem: str, payload: bytes) -> bytes:
    return hashlib.sha256(stem.encode() + b"\0" + payload).digest()


class _Form(CompileResultCacheImpl):  # type: ignore[misc]  # Numba counts as untyped
    """How Numba takes a compiled function apart and puts it together, without its files."""

    def __init__(self) -> None:
        pass


class StoredKernel:
    """What stands where Numba's cache stands in a function: one file, or nothing (`path` None)."""

    cache_path = None

    def __init__(self, stem: str, path: Path | None, put: Callable[[Path, bytes], None]) -> None:
        self._stem, self._path, self._put = stem, path, put
        self._payload: bytes | None = None

    def read(self) -> bool:
        """Whether the file is there whole; its bytes are kept for `load_overload`."""
        if self._path is None:
            return False
        try:
            with open(self._path, "rb", opener=lambda name, _: os.open(name, _FLAGS)) as file:
                raw = file.read() if is_ours(os.fstat(file.fileno())) else b""
        except OSError:
            return False
        self._payload = unsealed(self._stem, raw)
        return self._payload is not None

    def forget(self) -> None:
        """The next compilation takes nothing from the file, and writes it again."""
        self._payload = None

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """Numba asks for the compiled function; None makes it compile."""
        if self._payload is None:
            return None
        target_context.refresh()
        return _Form().rebuild(target_context, pickle.loads(self._payload))

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Numba hands over what it compiled; code with addresses of this process is not kept."""
        has_addresses = compiled.library.has_dynamic_globals
        if self._path is not None and not has_addresses:
            self._put(self._path, sealed(self._stem, dumps(_Form().reduce(compiled))))
