"""Reading documents of files: cuts that depend on the text alone, errors with file and byte."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from tinygrad_tx.data import sources
from tinygrad_tx.data.sources import SourceReader, find_sources
from tinygrad_tx.errors import DataError

TEXTS = st.text(st.sampled_from("ab\n\n\r é注😀\ufeff"), max_size=300)
in_a_folder = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@in_a_folder
@given(TEXTS, st.integers(1, 40), st.integers(1, 50), st.booleans())
def test_documents_join_to_the_text_whatever_the_parts_it_is_read_in(
    tmp_path: Path, text: str, piece: int, chunk: int, packed: bool
) -> None:
    raw = text.encode()
    path = tmp_path / ("a.txt.gz" if packed else "a.txt")
    path.write_bytes(gzip.compress(raw) if packed else raw)
    whole = list(SourceReader(path, piece=piece))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "CHUNK", chunk)
        reader = SourceReader(path, piece=piece)
        assert list(reader) == whole
    assert "".join(whole) == text.removeprefix("\ufeff")
    assert all(0 < len(document) <= 2 * piece for document in whole)
    assert reader.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert reader.bytes_read == path.stat().st_size


def test_cuts_are_at_blank_lines_else_at_lines_else_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for text, wanted in (
        ("aaaaaa\nbb\n\ncccccccc", ["aaaaaa\nbb\n\n", "cccccccc"]),
        ("aaaaaa\nbbbbbbbbbb", ["aaaaaa\n", "bbbbbbbbbb"]),
        ("a" * 15, ["a" * 12, "aaa"]),
        ("a" * 12, ["a" * 12]),
    ):
        path.write_text(text)
        assert list(SourceReader(path, piece=6)) == wanted


@in_a_folder
@given(st.binary(max_size=60), st.integers(1, 9))
def test_bytes_that_are_no_text_are_placed_as_python_places_them(
    tmp_path: Path, raw: bytes, chunk: int
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(raw)
    bad = place_of_no_text(raw)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "CHUNK", chunk)
        if bad is None:
            assert "".join(SourceReader(path)) == raw.decode().removeprefix("\ufeff")
            return
        with pytest.raises(DataError, match=rf"a\.txt.* byte 0x{raw[bad]:02x} at {bad};"):
            list(SourceReader(path))


def place_of_no_text(raw: bytes) -> int | None:
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return error.start
    return None


def test_lines_of_json_are_documents(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    texts = ["one\ntwo", "", "注意 \u2028 力", "x" * 10_000]
    path.write_text("\ufeff" + "\n\n".join(json.dumps({"body": t, "n": 1}) for t in texts))
    assert list(SourceReader(path, field="body")) == texts


LINES = {
    b'{"text": "a"}\n{"text": 3}': "line 2, which begins at byte 14, has no text under 'text'",
    b'{"other": "a"}': "has no text under 'text'",
    b"[1]": "has no text under 'text'",
    b'"text"': "has no text under 'text'",
    b'{"text": "a"': "line 1, which begins at byte 0, is damaged",
    b'{"text": "\\ud800"}': "is damaged",
    b"[" * 100_000: "is damaged",
    b'{"text": "a"}\n{"text": "\xff"}': "not UTF-8: byte 0xff at 24",
}


@pytest.mark.parametrize(("raw", "message"), LINES.items())
def test_bad_lines_are_named(tmp_path: Path, raw: bytes, message: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=message):
        list(SourceReader(path))


def test_a_line_too_long_for_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "MOST_LINE", 100)
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "a" * 200}))
    with pytest.raises(DataError, match=r"line 1.*over 100 bytes"):
        list(SourceReader(path))


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("flip", [False, True])
def test_a_damaged_archive_is_one_error(tmp_path: Path, keep: float, flip: bool) -> None:
    raw = gzip.compress(os.urandom(3000).hex().encode())
    raw = raw[: int(len(raw) * keep)]
    path = tmp_path / "a.txt.gz"
    if flip:
        raw = raw[:20] + b"\x00\xff\x00" + raw[23:] + gzip.compress(b"more")
    path.write_bytes(raw)
    if not raw:
        assert list(SourceReader(path)) == []  # Python's gzip takes an empty file as empty
        return
    with pytest.raises(DataError, match=r"a\.txt\.gz: cannot be read"):
        list(SourceReader(path))


def test_folders_are_read_in_the_order_of_paths_and_each_file_once(tmp_path: Path) -> None:
    names = ["b/z.txt", "b/a.md", "a.jsonl.gz", "c.txt", ".hidden.txt", ".git/x.txt", "d.py"]
    for name in [*names, "out/left.txt"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a")
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    given_ = [tmp_path / "c.txt", tmp_path, tmp_path / "b"]
    found = find_sources(given_, leave_out=tmp_path / "out")
    short = [str(Path(s.path).relative_to(tmp_path)) for s in found]
    assert short == ["c.txt", "a.jsonl.gz", "b/a.md", "b/z.txt"]
    assert [s.path for s in find_sources([tmp_path], [".py"])] == [str(tmp_path / "d.py")]


def test_what_is_no_text_file_is_refused_and_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    for place in (tmp_path, tmp_path / "pipe.txt", Path("/dev/zero")):
        with pytest.raises(DataError, match="neither a file nor a folder"):
            find_sources([place])
    with pytest.raises(DataError, match=r"none\.txt: cannot be read"):
        find_sources([tmp_path / "none.txt"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no file that ends in"):
        find_sources([tmp_path / "empty"])
