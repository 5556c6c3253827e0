"""The kernel cache: addresses of compiled kernels, in memory and on disk.

Each kernel is a module of its own with one `cfunc`; the file of its compiled form carries a hash of
every kernel source, of the versions and of the CPU: whatever changes, a new file is made.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import platform
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite
import numba
import numpy as np
from llvmlite import binding
from numba.core import event, sigutils
from numba.core.ccallback import CFunc

import tinygrad_tx.ops
from tinygrad_tx.compiler.names import identifier, shown
from tinygrad_tx.config import config
from tinygrad_tx.errors import CompileError, explain
from tinygrad_tx.graph.lowering import Kernel
from tinygrad_tx.ops.kernels.kernel import FAST, SIGNATURE
from tinygrad_tx.runtime.cache import files, folder, locked, note_use, put, put_text, trim
from tinygrad_tx.runtime.stored import StoredKernel

__all__ = [
    "CacheInfo",
    "address_of",
    "assembly_of",
    "cache_info",
    "clear_cache",
    "compilations",
    "load_generated",
    "source_of",
]

_OPTIONS = {"error_model": "numpy", "fastmath": FAST}

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


def source_of(kernel: Kernel) -> str:
    """The Python that is compiled: the generated module, or the hand-written function."""
    return kernel.source or inspect.getsource(kernel.function.py_func)


def assembly_of(kernel: Kernel) -> str:
    """What the CPU runs, as assembler. Compiled once more: on disk there is machine code alone."""
    space: dict[str, Any] = {}
    exec(kernel.source or _handwritten(kernel), space)
    signature = sigutils.normalize_signature(SIGNATURE)
    made: Any = CFunc(space["entry"], signature, locals={}, options=_OPTIONS)
    made.compile()
    return str(made._library.get_asm_str())


def _compiled(kernel: Kernel) -> Any:
    text = kernel.source or _handwritten(kernel)
    return load_generated(kernel.name, "entry", text, _as_callback)


def _as_callback(function: Any, stored: StoredKernel) -> Any:
    """What `numba.cfunc(SIGNATURE, cache=True, ...)` does, with our file in the cache's place."""
    made: Any = CFunc(
        function, sigutils.normalize_signature(SIGNATURE), locals={}, options=_OPTIONS
    )
    made._cache = stored
    made.compile()
    return made


def _handwritten(kernel: Kernel) -> str:
    module = kernel.function.__module__
    found = [k for k, v in vars(sys.modules[module]).items() if v is kernel]
    if not found:
        raise CompileError(explain(kernel.name, f"is not a name in {module}"))
    version = "" if module.startswith("tinygrad_tx.") else _version_of(module)
    return (
        f'"""{shown(f"{kernel.name} {version}".strip())}"""\n\n'
        f"from {identifier(module)} import {identifier(found[0])} as _kernel\n\n"
        "body = _kernel.function\n\n\n"
        "def entry(ith, nth, operands, arena):\n    body(ith, nth, operands, arena)\n"
    )


def _version_of(module: str) -> str:
    """A digest of the file of a module; `environment` knows those in ops/ alone."""
    file = Path(getattr(sys.modules[module], "__file__", None) or "")
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16] if file.is_file() else ""


def load_generated(
    name: str, function: str, text: str, compiled: Callable[[Any, StoredKernel], Any]
) -> Any:
    """What `compiled` makes of `function` of the module `text`; from its file, if it is there.

    The file's name tells content and environment. One process compiles a kernel while others that
    want it wait.
    """
    digest = hashlib.sha256((environment() + text).encode()).hexdigest()[:32]
    stem = f"{shown(name).replace('.', '_').replace(' ', '_')}_{digest}"
    where = folder()
    source = (where or Path("tinygrad_tx_kernels")) / f"{stem}.py"
    path = None if where is None else source.with_suffix(".kernel")
    stored = StoredKernel(stem, path, put)
    found = _function(f"tinygrad_tx_kernel_{digest}", function, text, source)
    _used.add(stem)
    if path is None:
        return _told(name, found, stored, compiled)
    if not stored.read():
        put_text(source, text)
        with locked(source):
            if not stored.read():
                made = _told(name, found, stored, compiled)
                _trim_now_and_then(path.parent)
                return made
    note_use(path)
    try:
        return compiled(found, stored)
    except Exception:  # whole, ours, and yet not to be put together: compiled once more
        stored.forget()
        return _told(name, found, stored, compiled)


def _told(
    name: str, function: Any, stored: StoredKernel, compiled: Callable[[Any, StoredKernel], Any]
) -> Any:
    if config.on_compile:
        config.on_compile(name)
    return compiled(function, stored)


def _function(module_name: str, function: str, text: str, source: Path) -> Any:
    """`function` of the module `text`. Never from the disk: a .py or .pyc could have changed."""
    module = sys.modules.get(module_name)
    if module is None:
        module = ModuleType(module_name)
        module.__file__ = str(source)
        exec(compile(text, source, "exec"), vars(module))
        sys.modules[module_name] = module
    return getattr(module, function)


def _trim_now_and_then(where: Path) -> None:
    """After the first kernel that a process compiles, then after every 32."""
    global _compiled_files
    if _compiled_files % 32 == 0:
        trim(where, config.cache_bytes, _used)
    _compiled_files += 1


@cache
def environment() -> str:
    """Everything besides its text that a compiled kernel depends on."""
    root = Path(next(iter(tinygrad_tx.ops.__path__)))
    digest = hashlib.sha256()
    for path in sorted([*root.glob("*.py"), *(root / "kernels").glob("*.py")]):
        digest.update(path.read_bytes())
    parts = (
        digest.hexdigest(),
        repr(sorted(FAST)),
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
    found = files()
    return CacheInfo(
        folder=folder() or config.cache / "kernels",
        kernels=sum(f.suffix == ".kernel" for f in found),
        bytes=sum(f.stat().st_size for f in found),
        bound=config.cache_bytes,
        loaded=len(_loaded),
        compiled=compilations(),
    )


def clear_cache() -> int:
    """Removes the compiled kernels on disk; returns how many files went."""
    found = files()
    for file in found:
        file.unlink(missing_ok=True)
    return len(found)
