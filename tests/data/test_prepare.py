"""Preparing: nothing lost, nothing twice, the same bytes however often it is stopped."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tinygrad_tx.data import Preparation, TokenSet, TokenSide, default_text, prepare
from tinygrad_tx.data.learn_tokenizer import Sample
from tinygrad_tx.data.snownlp import is_held_out
from tinygrad_tx.data.sources import SourceReader
from tinygrad_tx.errors import DataError
from tinygrad_tx.files import locked

SMALL = Preparation("bpe", 300, 0.2, piece=300, shard_tokens=2000)
MODULE = sys.modules["tinygrad_tx.data.prepare"]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three sources of some 17 KB, of which one repeats documents of another."""
    folder = tmp_path_factory.mktemp("texts")
    text = default_text()
    (folder / "a.txt").write_text(text[:6_000])
    lines = [json.dumps({"text": t}) + "\n" for t in text[12_000:16_000].split("\n\n") * 2]
    with gzip.open(folder / "b.jsonl.gz", "wt") as file:
        file.writelines(lines)
    (folder / "c.md").write_text(text[:3_000] + "注意力\n")
    return folder


@pytest.fixture(scope="module")
def whole(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The bytes of a run that nothing happened to."""
    out = tmp_path_factory.mktemp("whole")
    prepare([texts], out, SMALL)
    return contents(out)


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != ".lock"}


def documents_of(found: TokenSet, side: TokenSide) -> list[str]:
    texts = []
    for number, shard in enumerate(side.shards):
        tokens = (
            side.rows(np.array([number]), np.array([0]), shard.tokens)[0] if shard.tokens else []
        )
        ends = side.borders(number).tolist()
        texts += [
            found.tokenizer.decode(tokens[a:b]) for a, b in zip([0, *ends], ends, strict=False)
        ]
    return texts


@pytest.mark.parametrize("kind", ["byte", "char", "bpe"])
def test_every_document_is_on_the_side_of_its_hash_and_nowhere_else(
    kind: str, texts: Path, tmp_path: Path
) -> None:
    found = prepare([texts], tmp_path / "out", Preparation(kind, 300, 0.2, "text", 300, 2000))
    sources = [SourceReader(texts / n, piece=300) for n in ("a.txt", "b.jsonl.gz", "c.md")]
    every = [document for source in sources for document in source]
    assert len(every) > 30
    for side, is_held in ((found.learning, False), (found.held_out, True)):
        wanted = [d for d in every if is_held_out(d, 0.2) == is_held]
        assert documents_of(found, side) == wanted
        assert side.characters == sum(map(len, wanted))
        assert side.documents == len(wanted) > 0
    twice = [d for d, n in Counter(every).items() if n > 1]
    assert len(twice) > 5
    assert len(found.learning.shards) > 2
    assert found.check() == 4 * len(found.learning.shards)


def test_nothing_depends_on_the_number_of_workers_or_on_the_size_of_shards(
    texts: Path, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    prepare([texts], tmp_path / "two", SMALL, workers=2)
    assert contents(tmp_path / "two") == whole
    large = prepare([texts], tmp_path / "large", Preparation("bpe", 300, 0.2, piece=300))
    for side in ("learning", "held_out"):
        names = [n for n in sorted(whole) if n.startswith(side) and n.endswith("tokens")]
        raw = b"".join(whole[n] for n in names)
        assert (large.path / f"{side}-00000.tokens").read_bytes() == raw


class Kill(BaseException):
    """What no handler expects."""


@pytest.mark.parametrize("is_written", [False, True], ids=["before", "after"])
def test_a_stop_at_any_write_changes_no_byte(
    texts: Path,
    tmp_path: Path,
    whole: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    is_written: bool,
) -> None:
    write, left = MODULE.write_whole, 0

    def stopping(path: Path, data: bytes | str) -> None:
        nonlocal left
        left -= 1
        if left < 0 and is_written:
            write(path, data)
        if left < 0:
            (path.parent / f".{path.name}.cut").write_bytes(b"half")  # as a kill leaves it
            raise Kill
        write(path, data)

    monkeypatch.setattr(MODULE, "write_whole", stopping)
    writes = 0
    while True:
        left, out = writes, tmp_path / str(writes)
        try:
            prepare([texts], out, SMALL)
            break
        except Kill:
            left = 10**6
            prepare([texts], out, SMALL)
            assert contents(out) == whole, writes
        writes += 1
    assert writes > 12


def test_a_run_that_is_stopped_at_every_shard_ends(
    texts: Path, tmp_path: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    note, noted = MODULE._write_progress, 0

    def stopping(out: Path, progress: object) -> None:
        nonlocal noted
        note(out, progress)
        noted += 1
        raise Kill

    monkeypatch.setattr(MODULE, "_write_progress", stopping)
    for _ in range(50):
        try:
            prepare([texts], tmp_path / "out", SMALL)
            break
        except Kill:
            continue
    assert contents(tmp_path / "out") == whole
    assert noted == len([n for n in whole if n.startswith("learning") and n.endswith("tokens")]) + 1


CHILD = """
import sys
from pathlib import Path
from tinygrad_tx.data import Preparation, prepare
print("ready", flush=True)
prepare([Path(sys.argv[1])], Path(sys.argv[2]), Preparation("bpe", 300, 0.2, piece=300,
        shard_tokens=2000), workers=int(sys.argv[3]))
"""


def kill_until_done(texts: Path, out: Path, seconds: float, workers: int, seed: int) -> int:
    """SIGKILL after a random time below `seconds`, again and again: how many kills there were."""
    rng, kills = random.Random(seed), 0
    while True:
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(texts), str(out), str(workers)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(rng.uniform(0, seconds))
        child.kill()
        code = child.wait()
        child.stdout.close()
        assert code in (0, -signal.SIGKILL)
        if code == 0:
            return kills
        kills += 1
        seconds *= 1.5


def test_a_killed_preparation_goes_on_to_the_same_bytes(
    texts: Path, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    kill_until_done(texts, tmp_path / "out", 0.5, 1, 0)
    assert contents(tmp_path / "out") == whole


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_many_kills_lose_nothing(
    texts: Path, tmp_path: Path, whole: dict[str, bytes], seed: int
) -> None:
    kill_until_done(texts, tmp_path / "out", 0.02, 1 + seed % 2, seed)
    assert contents(tmp_path / "out") == whole


def stopped(texts: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A preparation that ended after its second shard."""
    note = MODULE._write_progress

    def stopping(out: Path, progress: object) -> None:
        note(out, progress)
        if progress.parts == 2:  # type: ignore[attr-defined]
            raise Kill

    with monkeypatch.context() as patch:
        patch.setattr(MODULE, "_write_progress", stopping)
        with pytest.raises(Kill):
            prepare([texts], out, SMALL)


def copied(texts: Path, to: Path) -> Path:
    to.mkdir()
    for path in texts.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to


@pytest.mark.parametrize("is_done", [False, True], ids=["stopped", "done"])
@pytest.mark.parametrize("name", ["a.txt", "b.jsonl.gz", "c.md"])
@pytest.mark.parametrize("grows", [False, True])
def test_a_source_that_changed_in_between_is_named(
    texts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    grows: bool,
    is_done: bool,
) -> None:
    mine, out = copied(texts, tmp_path / "mine"), tmp_path / "out"
    if is_done:
        prepare([mine], out, SMALL)
    else:
        stopped(mine, out, monkeypatch)
    raw = (mine / name).read_bytes()
    (mine / name).write_bytes(raw + b"\n" if grows else b"~" + raw[1:])
    with pytest.raises(DataError, match=rf"{name}: has changed since"):
        prepare([mine], out, SMALL)
    (mine / name).write_bytes(raw)  # put back, though written to later
    prepare([mine], out, SMALL).check()


def test_a_source_that_changes_unseen_is_named_when_its_end_is_reached(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, out = copied(texts, tmp_path / "mine"), tmp_path / "out"
    stopped(mine, out, monkeypatch)
    path = mine / "c.md"
    known = path.stat()
    path.write_bytes(b"X" + path.read_bytes()[1:])
    os.utime(path, ns=(known.st_atime_ns, known.st_mtime_ns))
    with pytest.raises(DataError, match=r"c\.md: has changed since"):
        prepare([mine], out, SMALL)


@pytest.mark.parametrize("is_done", [False, True], ids=["stopped", "done"])
def test_other_files_and_other_settings_are_named(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_done: bool
) -> None:
    mine, out = copied(texts, tmp_path / "mine"), tmp_path / "out"
    if is_done:
        prepare([mine], out, SMALL)
    else:
        stopped(mine, out, monkeypatch)
    with pytest.raises(DataError, match=r"begun with held_out 0\.2, not 0\.5"):
        prepare([mine], out, Preparation("bpe", 300, 0.5, piece=300, shard_tokens=2000))
    (mine / "bb.txt").write_text("more")
    with pytest.raises(DataError, match=r"3 files, and now there are 4: .*bb.txt is new"):
        prepare([mine], out, SMALL)
    (mine / "bb.txt").unlink()
    (mine / "a.txt").rename(tmp_path / "a.txt")
    with pytest.raises(DataError, match=r"a.txt is gone"):
        prepare([mine], out, SMALL)


def test_folders_of_others_and_held_folders_are_refused(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(DataError, match=r"holds other files, such as thesis\.tex"):
        prepare([texts], tmp_path, SMALL)
    (tmp_path / "new").mkdir()
    with (
        locked(tmp_path / "new" / ".lock"),
        pytest.raises(DataError, match="being prepared by process"),
    ):
        prepare([texts], tmp_path / "new", SMALL)
    with pytest.raises(DataError, match="cannot be written"):
        prepare([texts], tmp_path / "thesis.tex", SMALL)


@pytest.mark.parametrize("text", ["", "short", "{", '{"settings": 1}', "[]", "null"])
def test_damaged_notes_are_refused(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    stopped(texts, tmp_path, monkeypatch)
    (tmp_path / "progress.json").write_text(text)
    with pytest.raises(DataError, match=r"progress.json: is damaged"):
        prepare([texts], tmp_path, SMALL)


@pytest.mark.parametrize("name", ["progress.json", "tokenizer.json"])
def test_what_others_put_in_the_place_of_notes_is_read_within_bounds(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    stopped(texts, tmp_path, monkeypatch)
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)  # read as a file it would wait for ever
    with pytest.raises(DataError, match=f"{name}: is damaged"):
        prepare([texts], tmp_path, SMALL)
    (tmp_path / name).unlink()
    with (tmp_path / name).open("wb") as file:
        file.truncate(1 << 40)  # no byte of it is on the disk
    with pytest.raises(DataError, match=f"{name}: is damaged"):
        prepare([texts], tmp_path, SMALL)
    (tmp_path / name).write_bytes(b"\xff")
    with pytest.raises(DataError, match=f"{name}: is damaged"):
        prepare([texts], tmp_path, SMALL)


def test_texts_that_cannot_be_divided_say_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one document")
    with pytest.raises(DataError, match=r"fell into the held-out part.*--piece"):
        prepare([tmp_path / "a.txt"], tmp_path / "out", Preparation("byte", held_out=1e-9))
    with pytest.raises(DataError, match="none of 1 documents fell into the part to learn from"):
        prepare([tmp_path / "a.txt"], tmp_path / "two", Preparation("byte", held_out=0.999999999))
    (tmp_path / "b.txt").write_text("")
    with pytest.raises(DataError, match="no text in the sources"):
        prepare([tmp_path / "b.txt"], tmp_path / "three", Preparation("byte"))


def test_a_known_tokenizer_is_taken_and_what_it_lacks_is_named(texts: Path, tmp_path: Path) -> None:
    first = prepare([texts / "a.txt"], tmp_path / "one", Preparation("char", piece=300))
    file = str(first.path / "tokenizer.json")
    second = prepare([texts / "a.txt"], tmp_path / "two", Preparation(file, piece=300))
    assert second.tokenizer.to_json() == first.tokenizer.to_json()
    with pytest.raises(DataError, match=r"c\.md: encode: '注'"):
        prepare([texts / "c.md"], tmp_path / "three", Preparation(file, piece=300))
    for bad in ("word", str(texts), str(texts / "a.txt")):
        with pytest.raises(DataError, match="tokenizer"):
            prepare([texts / "a.txt"], tmp_path / "four", Preparation(bad))


@pytest.mark.parametrize("bad", [{"held_out": 0.0}, {"held_out": float("nan")}, {"vocab_size": 9}])
def test_settings_that_make_no_sense_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(DataError, match="Preparation"):
        Preparation(**bad)  # type: ignore[arg-type]


def test_a_sample_is_bounded_and_the_same_in_any_order() -> None:
    texts = [f"document {i} " * (i % 7 + 1) for i in range(500)]
    found = []
    for seed in range(3):
        random.Random(seed).shuffle(texts)
        sample = Sample(3000)
        for text in texts * (seed + 1):
            sample.read(text)
        found.append(sample.texts())
    assert found[0] == found[1] == found[2]
    assert 3000 <= sum(map(len, found[0])) < 3000 + 7 * 13
    everything = Sample(10**6)
    for text in texts:
        everything.read(text)
    assert sorted(everything.texts()) == sorted(texts)
