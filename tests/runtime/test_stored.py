"""Only a kernel's own whole file is loaded; whatever else stands there, it is compiled again."""

from __future__ import annotations

import ctypes
import errno
import os
import pickle
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from tinygrad_tx.config import config
from tinygrad_tx.runtime import cache, kernels
from tinygrad_tx.runtime.kernels import load_generated
from tinygrad_tx.runtime.stored import HEAD, StoredKernel, sealed, unsealed

ENTRY = '''"""Writes {number}."""

from tinygrad_tx.ops.kernels.kernel import int64s


def entry(ith, nth, operands, arena):
    int64s(operands[0], 1)[0] = {number}
'''


@given(payload=st.binary(max_size=200), stem=st.text(max_size=20))
def test_what_was_sealed_comes_back(payload: bytes, stem: str) -> None:
    assert unsealed(stem, sealed(stem, payload)) == payload


@given(payload=st.binary(max_size=200), at=st.integers(0), bit=st.integers(0, 7))
@settings(max_examples=300)
def test_a_flipped_bit_or_a_cut_or_another_name_does_not(payload: bytes, at: int, bit: int) -> None:
    raw = bytearray(sealed("kernel", payload))
    at %= len(raw)
    assert unsealed("kernel", bytes(raw[:at])) is None
    assert unsealed("kernel", bytes(raw) + b"\0") is None
    assert unsealed("kerne", bytes(raw)) is None
    raw[at] ^= 1 << bit
    assert unsealed("kernel", bytes(raw)) is None


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    where = tmp_path / "kernels"
    monkeypatch.setattr(kernels, "folder", lambda: where)
    cache._say.cache_clear()
    yield where
    cache._say.cache_clear()


def run(number: int) -> tuple[int, int]:
    """What the kernel that writes `number` writes, and how often it was compiled for that, as in a
    fresh process."""
    for name in [n for n in sys.modules if n.startswith("tinygrad_tx_kernel_")]:
        if f"Writes {number}." in (sys.modules[name].__doc__ or ""):
            del sys.modules[name]
    told: list[str] = []
    before = config.on_compile
    config.on_compile = told.append
    try:
        text = ENTRY.format(number=number)
        made = load_generated("writes", "entry", text, kernels._as_callback)
    finally:
        config.on_compile = before
    target = ctypes.c_int64(-1)
    operands = (ctypes.c_int64 * 1)(ctypes.addressof(target))
    made.ctypes(0, 1, operands, 0)
    return target.value, len(told)


def stored(folder: Path) -> Path:
    (found,) = folder.glob("*.kernel")
    return found


def test_a_kernel_is_compiled_once_and_then_loaded(folder: Path) -> None:
    written, compiled = run(7)
    assert written == 7
    assert compiled == 1
    assert run(7) == (7, 0)
    assert stored(folder).stat().st_mode & 0o777 == 0o600
    assert {f.suffix for f in folder.iterdir()} == {".py", ".kernel"}


class Planted:
    """A pickle that leaves a file when it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return open, (str(self.mark), "w")


def damage(path: Path, how: str, mark: Path) -> None:
    raw = path.read_bytes()
    if how == "flip":
        path.write_bytes(raw[:-9] + bytes([raw[-9] ^ 4]) + raw[-8:])
    elif how == "cut":
        path.write_bytes(raw[: len(raw) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "pickle":
        path.write_bytes(pickle.dumps(Planted(mark)))
    elif how == "head and pickle":
        path.write_bytes(HEAD + bytes(32) + pickle.dumps(Planted(mark)))
    elif how == "others may write it":
        path.write_bytes(sealed(path.stem, pickle.dumps(Planted(mark))))
        path.chmod(0o666)
    elif how == "link":
        path.rename(path.with_suffix(".moved"))
        path.symlink_to(path.with_suffix(".moved"))
    elif how == "pipe":
        path.unlink()
        os.mkfifo(path)
    elif how == "not Numba's":
        path.write_bytes(sealed(path.stem, pickle.dumps(("no", "such", "form"))))
    else:
        path.unlink()


WAYS = (
    "flip",
    "cut",
    "empty",
    "pickle",
    "head and pickle",
    "others may write it",
    "link",
    "pipe",
    "not Numba's",
    "gone",
)


@pytest.mark.parametrize("how", WAYS)
def test_whatever_stands_in_its_place_it_is_compiled_again(
    folder: Path, tmp_path: Path, how: str
) -> None:
    run(3)
    damage(stored(folder), how, tmp_path / "ran")
    written, compiled = run(3)
    assert written == 3
    assert compiled == 1
    assert not (tmp_path / "ran").exists(), "what was planted must not be unpickled"
    assert run(3) == (3, 0), "and its file is whole again"


def test_one_kernel_in_the_place_of_another_is_not_taken_for_it(folder: Path) -> None:
    run(1)
    one = stored(folder).read_bytes()
    stored(folder).unlink()
    run(2)
    stored(folder).write_bytes(one)
    assert run(2)[0] == 2


def test_source_on_the_disk_is_never_run(folder: Path, tmp_path: Path) -> None:
    run(4)
    (source,) = folder.glob("*.py")
    source.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n" + ENTRY.format(number=5))
    (folder / "__pycache__").mkdir()
    stored(folder).unlink()
    assert run(4)[0] == 4
    assert not (tmp_path / "ran").exists()
    assert source.read_text() == ENTRY.format(number=4)


def test_numba_cache_dir_leads_nowhere_else(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path / "elsewhere"))
    run(8)
    assert stored(folder).exists()
    assert not (tmp_path / "elsewhere").exists()


def test_a_cache_deleted_while_running_is_made_again(folder: Path) -> None:
    run(9)
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    assert run(9)[0] == 9
    assert run(9) == (9, 0)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_folder_that_cannot_be_written_still_runs(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
) -> None:
    folder.mkdir()

    def refused(**_: Any) -> Any:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "mkstemp", refused)
    assert run(11)[0] == 11
    assert run(12)[0] == 12
    said = capsys.readouterr().err
    assert os.strerror(number) in said
    assert said.count("\n") == 1, "said once"
    assert list(folder.iterdir()) == []


def test_half_a_file_is_never_left(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A disk that fills up on the way: here a bound on the size of files."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    folder.mkdir()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        written = run(13)[0]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert written == 13
    assert "cannot keep kernels" in capsys.readouterr().err
    assert [f.suffix for f in folder.iterdir()] == [".py"]
    assert run(13)[0] == 13
    assert run(13) == (13, 0)


def test_without_links_and_locks_it_works_as_well(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on some network file systems."""

    def refused(*_: Any) -> Any:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(os, "link", refused)
    if cache.fcntl is not None:
        monkeypatch.setattr(cache.fcntl, "flock", refused)
    assert run(14)[0] == 14
    assert run(14) == (14, 0)


def test_without_a_folder_kernels_live_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "folder", lambda: None)
    assert run(15)[0] == 15
    assert run(15)[1] == 1


def test_code_with_addresses_of_this_process_is_not_kept() -> None:
    class Library:
        has_dynamic_globals = True

    class Compiled:
        library = Library()

    def put(path: Path, data: bytes) -> None:
        raise AssertionError("kept")

    StoredKernel("kernel", Path("kernel"), put).save_overload(None, Compiled())


def test_the_folder_of_tests_is_their_users() -> None:
    """What this suite itself uses passes its own rule."""
    assert cache.folder() is not None, config.cache
