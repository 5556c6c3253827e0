"""The kernel cache: addresses of compiled kernels, in memory and on disk.

Each kernel becomes a module of its own in the cache folder with one `cfunc`; Numba's on-disk cache
stands beside it. Numba stamps only the file of the cached function, so the file's name carries a
hash of every kernel source, of the versions and of the CPU: whatever changes, a new file is made.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import sys
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite
import numba
import numpy as np
from llvmlite import binding
from numba.core import event

import tinygrad_tx.ops
from tinygrad_tx.config import config
from tinygrad_tx.errors import CompileError, explain
from tinygrad_tx.graph.lowering import Kernel
from tinygrad_tx.runtime.cache import (
    folder,
    index_files,
    is_compiled,
    locked,
    note_use,
    trim,
    write_text,
)

__all__ = [
    "CacheInfo",
    "address_of",
    "cache_info",
    "clear_cache",
    "compilations",
    "load_generated",
]

_ENTRY = """

from numba import cfunc

from tinygrad_tx.ops.kernels.kernel import FAST, SIGNATURE

entry = cfunc(SIGNATURE, cache=True, error_model="numpy", fastmath=FAST)(entry)
"""

_loaded: dict[str, Any] = {}
_used: set[str] = set()
_compiled_files = 0
_lock = threading.Lock()


class _Counter(event.Listener):  # type: ignore[misc]  # Numba counts as untyped
    """Counts what Numba really compiles; a hit in its on-disk cache is no event."""

    count = 0

    def on_start(self, event: Any) -> None:
        self.count += 1

    def on_end(self, event: Any) -> None:
        pass


_counter = _Counter()
event.register("numba:compile", _counter)


def compilations() -> int:
    """Functions that Numba has compiled in this process since the package was imported."""
    return _counter.count


def address_of(kernel: Kernel) -> int:
    """The address of the compiled kernel."""
    found = _loaded.get(kernel.name)
    if found is None:
        with _lock:
            found = _loaded.get(kernel.name) or _compiled(kernel)
            _loaded[kernel.name] = found
    return int(found.address)


def _compiled(kernel: Kernel) -> Any:
    text = (kernel.source or _handwritten(kernel)) + _ENTRY
    return load_generated(kernel.name, text).entry


def _handwritten(kernel: Kernel) -> str:
    module = kernel.function.__module__
    found = [k for k, v in vars(sys.modules[module]).items() if v is kernel]
    if not found:
        raise CompileError(explain(kernel.name, f"is not a name in {module}"))
    return (
        f'"""{kernel.name}"""\n\nfrom {module} import {found[0]} as _kernel\n\n'
        "body = _kernel.function\n\n\n"
        "def entry(ith, nth, operands, arena):\n    body(ith, nth, operands, arena)\n"
    )


def load_generated(name: str, text: str) -> ModuleType:
    """The module of `text`, from a file in the cache whose name tells content and environment."""
    digest = hashlib.sha256((environment() + text).encode()).hexdigest()[:20]
    module_name = f"tinygrad_tx_kernel_{digest}"
    if module_name in sys.modules:
        return sys.modules[module_name]
    safe = "".join(c if c.isalnum() else "_" for c in name)
    path = folder() / f"{safe}_{digest}.py"
    _used.add(path.stem)
    try:
        return _loaded_from(path, name, module_name, text)
    except Exception:
        # A damaged cache entry, or one that another process removed just now: made once more.
        sys.modules.pop(module_name, None)
        for index in index_files(path):
            index.unlink(missing_ok=True)
        return _loaded_from(path, name, module_name, text)


def _loaded_from(path: Path, name: str, module_name: str, text: str) -> ModuleType:
    """Imports a kernel; one process compiles it while others that want it wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
    if is_compiled(path):
        note_use(path)
        return _imported(module_name, path)
    with locked(path):
        if config.on_compile and not is_compiled(path):
            config.on_compile(name)
        module = _imported(module_name, path)
    _trim_now_and_then()
    return module


def _trim_now_and_then() -> None:
    """After the first kernel that a process compiles, then after every 32."""
    global _compiled_files
    if _compiled_files % 32 == 0:
        trim(folder(), config.cache_bytes, _used)
    _compiled_files += 1


def _imported(module_name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    return module


@cache
def environment() -> str:
    """Everything besides its text that a compiled kernel depends on."""
    root = Path(next(iter(tinygrad_tx.ops.__path__)))
    digest = hashlib.sha256()
    for path in sorted([*root.glob("*.py"), *(root / "kernels").glob("*.py")]):
        digest.update(path.read_bytes())
    parts = (
        digest.hexdigest(),
        numba.__version__,
        llvmlite.__version__,
        np.__version__,
        platform.python_version(),
        os.environ.get("NUMBA_CPU_NAME") or binding.get_host_cpu_name(),
        os.environ.get("NUMBA_CPU_FEATURES") or binding.get_host_cpu_features().flatten(),
    )
    return "\n".join(parts)


@dataclass(frozen=True)
class CacheInfo:
    """The kernels on disk, and what this process did with them."""

    folder: Path
    kernels: int
    bytes: int
    bound: int
    loaded: int
    compiled: int


def cache_info() -> CacheInfo:
    """How many kernels the cache folder holds, their size, and how many this process used."""
    files = [f for f in folder().rglob("*") if f.is_file()]
    return CacheInfo(
        folder=folder(),
        kernels=sum(f.suffix == ".py" for f in files),
        bytes=sum(f.stat().st_size for f in files),
        bound=config.cache_bytes,
        loaded=len(_loaded),
        compiled=compilations(),
    )


def clear_cache() -> int:
    """Removes the compiled kernels on disk; returns how many files went."""
    files = [f for f in folder().rglob("*") if f.is_file()]
    for file in files:
        file.unlink(missing_ok=True)
    return len(files)
