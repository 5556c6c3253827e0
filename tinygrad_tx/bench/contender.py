"""One contender in a process of its own: `python -m tinygrad_tx.bench.contender NAME THREADS`.

Reads JSON lines: {"build": workload} and {"run": times}; answers with JSON lines. One process for
each, because two pools of spinning threads in one process halve each other.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
import time
from typing import Any

from tinygrad_tx.bench.workloads import Workload


def main() -> None:
    """Answers go where standard output was; what a library prints goes where errors go."""
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        _answer(answers)


def _answer(answers: Any) -> None:
    name, threads = sys.argv[1], int(sys.argv[2])
    run: Any = None
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if "build" in order:
                _load(name)
                before = _restart_peak()
                run = _built(name, order["build"], threads)
                started = time.perf_counter()
                run()
                first = time.perf_counter() - started
                for _ in range(3):
                    run()
                grown = _status("VmHWM") - before
                planned = getattr(run, "planned_bytes", 0)
                answer: dict[str, Any] = {"first": first, "grown": grown, "planned": planned}
            else:
                answer = {"times": _timed(run, order["run"])}
        except Exception as error:  # whatever a library raises is the answer
            answer = {"error": f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"}
        print(json.dumps(answer), file=answers, flush=True)


def _load(name: str) -> None:
    """Imports the library, whose own memory is nobody's step."""
    for module in {"ours": ("tinygrad_tx",), "jax": ("jax", "jax.numpy")}.get(name, ()):
        importlib.import_module(module)
    if name.startswith("torch"):
        importlib.import_module("torch")


def _restart_peak() -> int:
    """Forgets the peak of memory so far; the bytes in use now. Libraries are loaded by then."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
    return _status("VmRSS")


def _status(field: str) -> int:
    """Bytes, as Linux counts them for this process; 0 where it does not say."""
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith(field):
                return 1024 * int(line.split()[1])
    return 0


def _built(name: str, described: dict[str, Any], threads: int) -> Any:
    described["sizes"] = tuple(described["sizes"])
    work = Workload(**described)
    if name == "ours":
        from tinygrad_tx.bench.ours import build

        return build(work, threads)
    from tinygrad_tx.bench import peers

    return peers.build(name, work, threads)


def _timed(run: Any, times: int) -> list[float]:
    found = []
    for _ in range(times):
        started = time.perf_counter()
        run()
        found.append(time.perf_counter() - started)
    return found


if __name__ == "__main__":
    main()
