"""tinygrad-tx info: what to paste into a bug report."""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import llvmlite.binding
import numpy as np
import typer

from tinygrad_tx import __version__
from tinygrad_tx.config import config
from tinygrad_tx.errors import DrawError
from tinygrad_tx.ops.kernels.simd import LANES
from tinygrad_tx.roofline import cpu_name
from tinygrad_tx.runtime.kernels import cache_info
from tinygrad_tx.untrusted import memory_of_machine
from tinygrad_tx.viz.render import renderer

__all__ = ["facts", "info"]

NEEDED = ("numpy", "numba", "llvmlite", "scipy", "safetensors", "tokenizers", "typer", "matplotlib")
OPTIONAL = (
    "torch",
    "jax",
    "onnx",
    "onnxruntime",
    "transformers",
    "einops",
    "scikit-learn",
    "mpi4py",
    "mpich",
    "tensorboardX",
)
FEATURES = ("avx", "avx2", "fma", "avx512f", "avx512vl", "avx512bf16", "amx-tile", "neon", "sve")
"""Of the processor, that decide which code is compiled, or would."""

FONTS = ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts", "~/.local/share/fonts")
CHINESE = ("notosanscjk", "sourcehansans", "wqy", "droidsansfallback", "pingfang", "simhei")


def info(as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False) -> None:
    """What a bug report needs: versions, machine, threads, cache, what draws. Paste all of it.

    It names folders of yours and holds nothing else of you.

    \b
    Example:
      tinygrad-tx info
    """
    found = facts()
    if as_json:
        typer.echo(json.dumps(found))
        return
    width = max(map(len, found))
    for name, value in found.items():
        typer.echo(f"{name:>{width}}  {_plain(value)}")


def facts() -> dict[str, Any]:
    """By name: text, numbers, or versions by package. Nothing is imported to be found."""
    cached = cache_info()
    free = _free_memory()
    return {
        "tinygrad-tx": __version__,
        "installed in": str(Path(__file__).parents[1]),
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "packages": _versions(NEEDED),
        "optional packages": _versions(OPTIONAL),
        "system": f"{platform.platform()}",
        "processor": cpu_name(),
        "compiled for": llvmlite.binding.get_host_cpu_name(),
        "features": _features(),
        "floats in a vector": LANES,
        "processors": os.cpu_count() or 1,
        "threads": config.threads,
        "memory": f"{memory_of_machine() / 1e9:.1f} GB"
        + (f", {free / 1e9:.1f} GB of it free" if free is not None else ""),
        "BLAS of NumPy": _blas(),
        "kernel cache": str(cached.folder),
        "kernels in it": f"{cached.kernels}, {cached.bytes // 1_000_000} of at most "
        f"{cached.bound // 1_000_000} MB",
        "drawn by": _renderer(),
        "Chinese font": "found" if _has_chinese_font() else "not found",
        "settings": {k: v for k, v in sorted(os.environ.items()) if k.startswith(_PREFIXES)},
    }


_PREFIXES = ("TINYGRAD_TX_", "NUMBA_", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items()) or "none"
    return ", ".join(value) if isinstance(value, list) else str(value)


def _versions(names: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _features() -> list[str]:
    there = llvmlite.binding.get_host_cpu_features()
    return [name for name in FEATURES if there.get(name)]


def _blas() -> str:
    build: Any = np.show_config(mode="dicts")
    found = build.get("Build Dependencies", {}).get("blas", {})
    return f"{found.get('name', 'unknown')} {found.get('version', '')}".strip()


def _free_memory() -> int | None:
    """Bytes that can be had without swapping; None where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except OSError:
        pass
    return None


def _renderer() -> str:
    try:
        return renderer()
    except DrawError as error:
        return str(error)


def _has_chinese_font() -> bool:
    """By the names of files: what a viewer chooses from to show drawings in Chinese."""
    for folder in FONTS:
        for _, _, names in os.walk(Path(folder).expanduser()):
            if any(n.lower().replace("-", "").startswith(CHINESE) for n in names):
                return True
    return sys.platform == "win32"
