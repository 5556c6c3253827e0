"""Files of tokens that are not what they say: found out when they are opened, read or checked."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from tinygrad_tx.data import Preparation, TokenSet, TokenWindows, default_text, prepare
from tinygrad_tx.data.token_set import dtype_of, header_text
from tinygrad_tx.errors import DataError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    (folder / "a.txt").write_text(default_text()[:9000])
    how = Preparation("byte", held_out=0.3, piece=300, shard_tokens=3000)
    return prepare([folder / "a.txt"], folder / "set", how).path


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_a_flipped_bit_is_found_wherever_it_is(
    made: Path, tmp_path: Path, data: st.DataObject
) -> None:
    names = sorted(p.name for p in made.iterdir() if p.stat().st_size and p.name != ".lock")
    name = data.draw(st.sampled_from(names))
    shutil.copytree(made, tmp_path / "set", dirs_exist_ok=True)
    path = tmp_path / "set" / name
    raw = bytearray(path.read_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(raw)
    try:
        meaning = json.loads(raw) if name == "data.json" else None
    except ValueError:
        meaning = None
    if meaning is not None and meaning == json.loads((made / name).read_text()):
        return  # a space that became another one
    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        TokenSet.open(tmp_path / "set").check()


@pytest.mark.parametrize("change", [-1, 1, -100])
@pytest.mark.parametrize("name", ["learning-00001.tokens", "held_out-00000.borders"])
def test_a_file_of_another_size_is_refused_before_it_is_read(
    made: Path, tmp_path: Path, name: str, change: int
) -> None:
    shutil.copytree(made, tmp_path / "set")
    path = tmp_path / "set" / name
    raw = path.read_bytes() + b"\0"
    path.write_bytes(raw[: len(raw) - 1 + change])
    with pytest.raises(DataError, match=rf"{name}: is damaged: \d+ bytes, not \d+"):
        TokenSet.open(tmp_path / "set")
    path.unlink()
    with pytest.raises(DataError, match=rf"{name}: cannot be read"):
        TokenSet.open(tmp_path / "set")


def shard(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda header: header["shards"][0].update(fields)


LIES: dict[str, Callable[[dict[str, Any]], None]] = {
    "huge": shard(tokens=2**62),
    "negative": shard(tokens=-1),
    "no whole number": shard(tokens=1.5),
    "true": shard(documents=True),
    "a path": shard(side="../../etc/passwd"),
    "a path in a number": shard(number="../x"),
    "a field too many": shard(path="x"),
    "twice": lambda h: h["shards"].append(h["shards"][0]),
    "a list of none": lambda h: h.update(shards=None),
    "a dtype of Python's": lambda h: h.update(dtype="object"),
    "a vocabulary too large": lambda h: h.update(vocab_size=2**17),
    "a vocabulary of another tokenizer": lambda h: h.update(vocab_size=255),
    "no sources": lambda h: h.pop("sources"),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=list(LIES))
def test_a_header_that_lies_under_a_good_digest_is_refused(
    made: Path, tmp_path: Path, lie: Callable[[dict[str, Any]], None]
) -> None:
    shutil.copytree(made, tmp_path / "set")
    path = tmp_path / "set" / "data.json"
    header = json.loads(path.read_text())
    lie(header)
    for name in ("magic", "version", "digest"):
        header.pop(name)
    path.write_text(header_text(header))
    with pytest.raises(DataError, match="is damaged"):
        TokenSet.open(tmp_path / "set")


@pytest.mark.parametrize("text", ["", "null", "[]", '{"magic": 1}', "[" * 100_000, "\xff"])
def test_headers_of_something_else_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match="is no data set"):
        TokenSet.open(tmp_path)
    (tmp_path / "data.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"data\.json: is damaged"):
        TokenSet.open(tmp_path)


def test_another_version_is_named(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "set")
    path = tmp_path / "set" / "data.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(DataError, match="is of version 2, and this program reads 1"):
        TokenSet.open(tmp_path / "set")


def test_a_token_outside_the_vocabulary_is_named_when_it_is_drawn(
    made: Path, tmp_path: Path
) -> None:
    shutil.copytree(made, tmp_path / "set")
    path = tmp_path / "set" / "learning-00000.tokens"
    path.write_bytes(b"\xff\xff" * (path.stat().st_size // 2))
    windows = TokenWindows(TokenSet.open(tmp_path / "set").learning, 64, 50)
    with pytest.raises(DataError, match=r"learning-00000\.tokens.*65535.*data check"):
        windows.rows(np.arange(len(windows)))


def test_many_shards_need_few_open_files(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = (TokenWindows(TokenSet.open(made).learning, 8, 50) for _ in range(2))
    with monkeypatch.context() as patch:
        patch.setattr("tinygrad_tx.data.token_set.MOST_OPEN", 1)
        found = [few.draw() for _ in range(4)]
    for a, b in zip(found, [many.draw() for _ in range(4)], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks Linux for open files")
@pytest.mark.parametrize("most", [1, 256])
def test_files_are_closed_with_the_side_that_opened_them(
    made: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr("tinygrad_tx.data.token_set.MOST_OPEN", most)
    side = TokenSet.open(made).learning
    before = len(os.listdir("/proc/self/fd"))
    TokenWindows(side, 64, 50).draw()
    assert len(os.listdir("/proc/self/fd")) == before + min(most, len(side.shards))
    del side
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("left", [0, 100, 101])
def test_a_file_that_is_cut_short_while_it_is_drawn_from_is_one_clear_line(
    made: Path, tmp_path: Path, left: int
) -> None:
    shutil.copytree(made, tmp_path / "set")
    windows = TokenWindows(TokenSet.open(tmp_path / "set").learning, 64, 50)
    windows.draw()
    path = tmp_path / "set" / "learning-00000.tokens"
    size = path.stat().st_size
    os.truncate(path, left)
    with pytest.raises(DataError) as caught:
        windows.rows(np.arange(len(windows)))
    said = str(caught.value)
    assert "learning-00000.tokens" in said
    assert f"is cut short: {left} bytes, not {size}" in said
    assert "--resume" in said
    assert "\n" not in said


def test_a_file_that_is_gone_or_no_file_is_one_clear_line(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "set")
    for change in (Path.unlink, Path.mkdir):  # before it was ever opened
        windows = TokenWindows(TokenSet.open(made).learning, 64, 50)
        windows.side.folder = tmp_path / "set"
        change(tmp_path / "set" / "learning-00000.tokens")
        with pytest.raises(DataError, match=r"learning-00000\.tokens: cannot be read"):
            windows.rows(np.arange(len(windows)))


def test_dtypes_hold_their_vocabularies() -> None:
    assert [dtype_of(v) for v in (256, 65_536, 65_537, 2**32)] == ["uint16"] * 2 + ["uint32"] * 2
    with pytest.raises(DataError, match="does not fit"):
        dtype_of(2**32 + 1)
