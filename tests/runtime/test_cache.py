"""A second process compiles nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tinygrad_tx.runtime.cache import put_text, trim

STEP = """
import hashlib
import numpy as np
import tinygrad_tx as tx
from tinygrad_tx.runtime.kernels import compilations

model = tx.models.GPT(tx.models.GPTConfig(40, 8, 1, 1, 32))
optimizer = tx.optim.AdamW(model.parameters(), 1e-3)

@tx.jit
def step(x, y):
    optimizer.zero_grad()
    loss = model.loss(x, y)
    loss.backward()
    tx.optim.clip_grad_norm(model.parameters(), 1.0)
    optimizer.step()
    return loss

tokens = np.random.default_rng(0).integers(0, 40, (32, 9))
for _ in range(2):
    loss = step(tokens[:, :-1].copy(), tokens[:, 1:].copy())
weights = b"".join(p.numpy().tobytes() for p in model.parameters())
print("compiled", compilations(), "loss", loss.item(), hashlib.sha256(weights).hexdigest())
"""


def compiled(cache: Path, **environment: str) -> tuple[int, float, str]:
    """What a process compiled, its loss, and a digest of all weights after two steps."""
    process = subprocess.run(
        [sys.executable, "-c", STEP],
        env={**os.environ, "TINYGRAD_TX_CACHE": str(cache), **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    words = process.stdout.split()
    return int(words[1]), float(words[3]), words[4]


@pytest.mark.slow
def test_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    first, *same = compiled(tmp_path)
    assert first > 20, "the first process must have compiled its kernels"
    assert compiled(tmp_path) == (0, *same), "to the bits of what was compiled before"


SIZES = """
from tinygrad_tx.runtime.kernels import compilations

def counted(batch, time, width, vocab):
    before = compilations()
    x, w = np.ones((batch, time, width), "f"), np.ones((width, vocab), "f")
    t = np.ones((batch, time), int)
    tx.jit(lambda x, w, t: tx.value_and_grad(
        lambda w: tx.cross_entropy(tx.gelu(tx.softmax(x * 2 + 1)) @ w, t))(w))(x, w, t)
    return compilations() - before

import numpy as np, tinygrad_tx as tx
print(counted(2, 8, 16, 11), counted(3, 5, 48, 29), counted(4, 9, 17, 8))
print(counted(7, 100, 130, 257), counted(9, 64, 200, 300), counted(16, 77, 129, 512))
"""


@pytest.mark.slow
def test_other_sizes_compile_nothing_new(tmp_path: Path) -> None:
    """Kernels depend on the kind of layout, not on sizes; large sums have one that goes in two."""
    done = subprocess.run(
        [sys.executable, "-c", SIZES],
        env={**os.environ, "TINYGRAD_TX_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    small, large = (list(map(int, line.split())) for line in done.stdout.splitlines())
    assert small[0] > 5
    assert small[1:] == [0, 0]
    assert large[0] <= 3
    assert large[1:] == [0, 0]


@pytest.mark.slow
def test_damaged_cache_entries_are_compiled_again(tmp_path: Path) -> None:
    _, *loss = compiled(tmp_path)
    for file in list(tmp_path.rglob("*.kernel"))[::3]:
        file.write_bytes(file.read_bytes()[:-100])
    again, *same = compiled(tmp_path)
    assert again > 0
    assert same == loss


@pytest.mark.slow
def test_other_cpus_get_a_correct_path(tmp_path: Path) -> None:
    """The portable code of a CPU without AVX gives the same loss to rounding."""
    _, loss, _ = compiled(tmp_path)
    count, generic, _ = compiled(tmp_path, NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="")
    assert count > 20, "another CPU must have kernels of its own"
    assert generic == pytest.approx(loss, rel=1e-5)


@pytest.mark.slow
def test_two_cold_processes_compile_each_kernel_once(tmp_path: Path) -> None:
    """One waits while the other compiles: no kernel is compiled by both."""
    told = "import tinygrad_tx as tx\ntx.config.on_compile = lambda name: print('kernel', name)\n"
    pair = [
        subprocess.Popen(
            [sys.executable, "-c", told + STEP],
            env={**os.environ, "TINYGRAD_TX_CACHE": str(tmp_path)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    lines = [p.communicate(timeout=600)[0].splitlines() for p in pair]
    compiled_by = [{x for x in found if x.startswith("kernel")} for found in lines]
    assert len(compiled_by[0] | compiled_by[1]) > 20
    assert compiled_by[0].isdisjoint(compiled_by[1])
    assert len({found[-1].split()[-1] for found in lines}) == 1  # the same loss


def test_the_cache_keeps_its_bound(tmp_path: Path) -> None:
    """Whole kernels go, those used longest ago first, and never those of this process."""
    for number in range(10):
        (tmp_path / f"kernel{number}.py").write_text("x" * 100)
        file = tmp_path / f"kernel{number}.kernel"
        file.write_bytes(b"y" * 900)
        os.utime(file, (1_000 + number, 1_000 + number))
        os.utime(tmp_path / f"kernel{number}.py", (500, 500))
    assert trim(tmp_path, 10_000, set()) == 0
    assert trim(tmp_path, 9_999, {"kernel1"}) == 3  # to four fifths of the bound
    left = {f.name.split(".")[0] for f in tmp_path.iterdir()}
    assert left == {f"kernel{n}" for n in (1, 4, 5, 6, 7, 8, 9)}
    assert len(list(tmp_path.iterdir())) == 14


def test_what_an_older_version_left_goes_too(tmp_path: Path) -> None:
    """Numba's own files, in a folder below."""
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "kernel.entry-1.py311.nbc").write_bytes(b"y" * 1000)
    assert trim(tmp_path, 999, set()) == 1
    assert [f for f in tmp_path.rglob("*") if f.is_file()] == []


@pytest.mark.slow
def test_a_cache_too_small_for_one_run_still_serves_it(tmp_path: Path) -> None:
    _, *loss = compiled(tmp_path / "large")
    assert compiled(tmp_path / "small", TINYGRAD_TX_CACHE_MB="1")[1:] == tuple(loss)
    size = sum(f.stat().st_size for f in (tmp_path / "small").rglob("*") if f.is_file())
    assert compiled(tmp_path / "small", TINYGRAD_TX_CACHE_MB="1")[1:] == tuple(loss)
    assert size < 20_000_000


def test_the_same_text_written_again_leaves_its_file(tmp_path: Path) -> None:
    """A process that holds the lock of a kernel holds that of its file: it must stay the same."""
    path = tmp_path / "kernel.py"
    put_text(path, "x = 1\n")
    first = path.stat().st_ino
    put_text(path, "x = 1\n")
    assert path.stat().st_ino == first
    put_text(path, "x = 2\n")  # damaged before
    assert path.read_text() == "x = 2\n"
    assert [p.name for p in tmp_path.iterdir()] == ["kernel.py"]


OUTSIDE = """
from tinygrad_tx.graph.lowering import Kernel
from tinygrad_tx.ops.kernels.kernel import floats, kernel
from tinygrad_tx.runtime.buffer import address_of_array
from tinygrad_tx.roofline import timed_rows
import numpy as np

@kernel("mine")
def run(ith, nth, operands, arena):
    floats(operands[0], 1)[0] = VALUE

if __name__ == "__main__":
    import mine
    got = np.zeros(1, np.float32)
    timed_rows(mine.run, 1, [address_of_array(got)], 1)
    print("value", got[0])
"""


@pytest.mark.slow
def test_a_kernel_outside_of_the_package_is_compiled_anew_when_its_file_changes(
    tmp_path: Path,
) -> None:
    """The environment's digest knows the files in ops/; others would be read as they were."""
    file = tmp_path / "mine.py"
    environment = {**os.environ, "TINYGRAD_TX_CACHE": str(tmp_path / "cache")}
    for value in ("1.0", "2.0", "1.0"):
        file.write_text(OUTSIDE.replace("VALUE", value))
        command = [sys.executable, "-B", str(file)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["value", value]
