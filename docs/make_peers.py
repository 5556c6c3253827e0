"""Measures what the libraries of docs/comparison.md take on the disk and to import.

python docs/make_peers.py [NAME ...] installs each with pip in an environment of its own, which is
removed again, writes docs/peers.json and the table in docs/comparison.md. With names only those
are measured anew; `table` as the only name measures none.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import venv
from datetime import date
from pathlib import Path
from typing import Any

from tinygrad_tx.files import write_whole

HERE = Path(__file__).parent
FOUND = HERE / "peers.json"
PAGE = HERE / "comparison.md"
BEGIN, END = "<!-- peers -->", "<!-- peers end -->"
ROUNDS = 7

# What pip is asked for, and what is imported.
PEERS = {
    "tinygrad_tx": (str(HERE.parent), "tinygrad_tx"),
    "PyTorch": ("torch", "torch"),
    "JAX": ("jax", "jax"),
    "tinygrad": ("tinygrad", "tinygrad"),
    "MLX": ("mlx[cpu]", "mlx.core"),
    "micrograd": ("micrograd", "micrograd.engine"),
    "TransformerLens": ("transformer-lens", "transformer_lens"),
    "Captum": ("captum", "captum.attr"),
    "torchview": ("torchview", "torchview"),
    "netron": ("netron", "netron"),
}
# Measured on top of PyTorch, which is there before and whose own size differs from build to build.
ON_TORCH = {"TransformerLens": [], "Captum": [], "torchview": ["graphviz"]}
TORCH = "torch==2.13.0"


def measured(name: str) -> dict[str, Any]:
    """Version, distributions, size on the disk with compiled Python, and what an import takes.

    Seconds are of processor time, beyond those of a bare Python, on the second import and later:
    they are the same on a machine that others use.
    """
    asked, module = PEERS[name]
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        if name in ON_TORCH:
            _run(python, "-m", "pip", "install", "-q", TORCH)
            _run(python, "-c", "import torch")
        began = {d["name"] for d in _installed(python)}
        bytes_before = _size(folder)
        _run(python, "-m", "pip", "install", "-q", asked, *ON_TORCH.get(name, []))
        _run(python, "-c", f"import {module}")
        took = [_seconds(python, f"import {module}") for _ in range(ROUNDS)]
        bare = [_seconds(python, "pass") for _ in range(ROUNDS)]
        there = {d["name"]: d["version"] for d in _installed(python)}
        own = asked.partition("[")[0] if name != "tinygrad_tx" else "tinygrad-tx"
        return {
            "version": there[own],
            "distributions": len(there.keys() - began),
            "megabytes": round((_size(folder) - bytes_before) / 1e6),
            "import_seconds": round(statistics.median(took) - statistics.median(bare), 2),
            "python": sys.version.split()[0],
            "on": date.today().isoformat(),
        } | ({"torch": there["torch"]} if "torch" in there else {})


def _installed(python: Path) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(_run(python, "-m", "pip", "list", "--format", "json"))
    return found


def _run(*words: str | Path) -> str:
    return subprocess.run(
        [*map(str, words)], check=True, capture_output=True, text=True, cwd="/"
    ).stdout


def _seconds(python: Path, code: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _run(python, "-c", code)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def _size(folder: str) -> int:
    return sum(p.lstat().st_size for p in Path(folder).rglob("*") if not p.is_symlink())


def table(found: dict[str, Any]) -> str:
    """Markdown of what was measured, for the page that shows it."""
    lines = ["| | version | packages | MB | import, s |", "| --- | --- | --- | --- | --- |"]
    for name, one in found.items():
        added = "+ " if name in ON_TORCH else ""
        size = str(one["megabytes"]) if one["megabytes"] else "under 1"
        row = (name, one["version"], f"{added}{one['distributions']}", f"{added}{size}")
        lines.append(f"| {' | '.join(row)} | {one['import_seconds']:.2f} |")
    return "\n".join(lines) + "\n"


def with_table(page: str, found: dict[str, Any]) -> str:
    """The page with the table between its two marks."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{table(found)}{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    results = json.loads(FOUND.read_text()) if FOUND.exists() else {}
    for name in sys.argv[1:] or PEERS:
        if name != "table":
            results[name] = measured(name)
            print(name, results[name], flush=True)
            write_whole(FOUND, json.dumps(results, indent=1) + "\n")
    write_whole(PAGE, with_table(PAGE.read_text(encoding="utf-8"), results))
