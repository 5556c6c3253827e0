"""The readers of files from anyone, attacked by hand: what no mutation comes upon by chance."""

from __future__ import annotations

import json
import os
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from safetensors.numpy import save

import tinygrad_tx as tx
from tests.hostile.formats import CONFIG, FORMATS, PLACES, make_originals
from tests.hostile.mutations import mutated_json, mutated_safetensors
from tests.models.gguf_files import file_of
from tinygrad_tx import untrusted
from tinygrad_tx.data import Windows, pretrained_tokenizer
from tinygrad_tx.errors import CheckpointError, DataError, TinygradTxError, explain
from tinygrad_tx.models import GPT, from_run
from tinygrad_tx.models.published.folder import read_weights
from tinygrad_tx.models.published.gguf import read_gguf
from tinygrad_tx.prompt import load_tuned
from tinygrad_tx.tasks.table import read_outcome
from tinygrad_tx.train import RunFolder, read_record
from tinygrad_tx.untrusted import inside, parse_json, read_bytes, read_safetensors, read_text


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("originals")
    make_originals(folder)
    return folder


ARRAYS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.arange(4, dtype=np.int64)}
RAW = save(ARRAYS, {"note": "x"})


def described(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    raw = json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def row(shape: Any, start: Any, end: Any, dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def test_a_sound_file_gives_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(RAW)
    found = read_safetensors(path)
    assert found.notes == {"note": "x"}
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(np.asarray(found.arrays[name]), array)
        assert np.asarray(found.arrays[name]).dtype == array.dtype


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=9).filter(
            lambda name: name != "__metadata__"
        ),
        st.tuples(
            st.sampled_from(["<f8", "<f4", "<f2", "<i8", "<u4", "i1", "?"]),
            st.lists(st.integers(0, 3), max_size=4),
        ),
        max_size=4,
    )
)
@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=60)
def test_whatever_the_library_writes_is_read_alike(tmp_path: Path, asked: Any) -> None:
    """The library is the other reader."""
    from safetensors.numpy import load

    arrays = {n: np.ones(s, d) for n, (d, s) in asked.items()}
    path = tmp_path / "a.safetensors"
    path.write_bytes(save(arrays))
    found = read_safetensors(path).arrays
    theirs = load(path.read_bytes())
    assert found.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_array_equal(np.asarray(found[name]), array)


HUGE = 2**62
HEADERS = {
    "a header longer than the file": (described({}, length=HUGE), "a header of"),
    "few bytes": (b"1234", "too few"),
    "a list": (described([]), "not an object"),
    "a huge shape": (described({"a": row([HUGE, HUGE], 0, 8)}, bytes(8)), "no memory holds"),
    "a product of 2**64": (described({"a": row([2**32, 2**32], 0, 0)}), "no memory holds"),
    "an empty array of huge sides": (described({"a": row([0, HUGE, 9], 0, 0)}), "no memory holds"),
    "a negative size": (described({"a": row([-1], 0, 4)}, bytes(4)), "no sizes"),
    "a size that is true": (described({"a": row([True], 0, 4)}, bytes(4)), "no sizes"),
    "a size of 1.0": (described({"a": row([1.0], 0, 4)}, bytes(4)), "no sizes"),
    "a shape of many axes": (described({"a": row([1] * 99, 0, 4)}, bytes(4)), "no sizes"),
    "a negative offset": (described({"a": row([1], -4, 0)}, bytes(4)), "no sizes"),
    "offsets beyond the end": (described({"a": row([2], 0, 8)}, bytes(4)), "claims 8 bytes"),
    "offsets turned round": (described({"a": row([1], 4, 0)}, bytes(4)), "claims 4 bytes"),
    "two in one place": (
        described({"a": row([1], 0, 4), "b": row([1], 0, 4)}, bytes(4)),
        "starts at byte",
    ),
    "a hole": (described({"a": row([1], 4, 8)}, bytes(8)), "starts at byte"),
    "bytes of nobody": (described({"a": row([1], 0, 4)}, bytes(8)), "end at byte"),
    "an unknown type": (described({"a": row([1], 0, 4, "F7")}, bytes(4)), "dtype 'F7'"),
    "a type that is a list": (described({"a": row([1], 0, 4, [])}, bytes(4)), "dtype"),
    "a row of nothing": (described({"a": None}), "is not described"),
    "notes that are numbers": (described({"__metadata__": {"a": 1}}), "not an object of texts"),
    "a name twice": (
        struct.pack("<Q", 14) + b'{"a":1, "a":2}',
        "a key is there twice",
    ),
    "a deep nest": (struct.pack("<Q", 200_000) + b"[" * 200_000, "too deep|Expecting"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_that_lies_is_refused_before_memory_is_taken(tmp_path: Path, name: str) -> None:
    raw, said = HEADERS[name]
    path = tmp_path / "model.safetensors"
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=said):
        read_safetensors(path)
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        read_weights(tmp_path)


def test_a_bool_of_two_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(described({"a": row([2], 0, 2, "BOOL")}, b"\1\2"))
    with pytest.raises(ValueError, match="neither true nor false"):
        np.asarray(read_safetensors(path).arrays["a"])


READERS: dict[str, Callable[[Path], Any]] = {
    "config.json": lambda p: GPT.from_pretrained(p.parent),
    "model.gguf": read_gguf,
    "model.safetensors": lambda p: read_weights(p.parent),
    "checkpoint.safetensors": lambda p: RunFolder(p.parent).load_checkpoint(),
    "record.json": lambda p: read_record(RunFolder(p.parent)),
    "outcome.json": read_outcome,
    "tokenizer.json": lambda p: pretrained_tokenizer(p.parent),
    "prompt.safetensors": lambda p: load_tuned(GPT(CONFIG), p),
    "text.txt": tx.data.read_text,
}


def in_time(read: Callable[[], Any], seconds: float = 20) -> list[BaseException]:
    """What it raises; a reader that hangs is let go of, and fails the test."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            read()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "it hangs"
    return raised


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "link to a device", "link to itself"])
@pytest.mark.parametrize("name", READERS)
def test_what_is_no_ordinary_file_is_refused_at_once(tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / name
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "link to itself":
        path.symlink_to(path)
    else:
        path.symlink_to("/dev/zero")
    (error,) = in_time(lambda: READERS[name](path))
    assert isinstance(error, TinygradTxError)
    assert name in str(error)


@pytest.mark.parametrize("name", [n for n in READERS if n != "text.txt"])
def test_a_hole_of_a_terabyte_is_refused_at_once(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.truncate(1 << 40)
    (error,) = in_time(lambda: READERS[name](path))
    assert isinstance(error, TinygradTxError)


def test_an_endless_file_is_read_up_to_its_bound() -> None:
    with pytest.raises(OSError, match="no ordinary file"):
        read_bytes("/dev/zero")
    assert read_bytes("/proc/self/status")  # says that it has no bytes, and has some
    with pytest.raises(OSError, match="more than 10"):
        read_bytes("/proc/self/status", 10)


def test_a_file_that_shrinks_is_an_error_not_a_signal(tmp_path: Path) -> None:
    array = np.arange(100_000, dtype=np.float32)
    (tmp_path / "a.gguf").write_bytes(file_of({}, {"a": array}))
    (tmp_path / "a.safetensors").write_bytes(save({"a": array}))
    packed = read_gguf(tmp_path / "a.gguf").tensors["a"]
    stored = read_safetensors(tmp_path / "a.safetensors").arrays["a"]
    for path in tmp_path.iterdir():
        os.truncate(path, 4096)
    with pytest.raises(CheckpointError, match="changed while it was read"):
        np.asarray(packed)
    with pytest.raises(OSError, match="changed while it was read"):
        np.asarray(stored)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1, "a": 2}', "there twice"),
        ("[" * 100_000, "too deep|Expecting"),
        ('"\\ud800"', "half a character"),
        ("NaN", "no number of JSON"),
        ("-Infinity", "no number of JSON"),
        ("9" * 5000, "digits"),
        ("", "Expecting"),
    ],
)
def test_json_that_is_none_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_json(text, finite=True)


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"ab\xff")
    with pytest.raises(ValueError, match="not UTF-8 at byte 2"):
        read_text(tmp_path / "a")


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "a/b", "..", ".", "", "a\0b", "a\nb"])
def test_names_in_files_stay_in_their_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="points out of its folder"):
        inside(tmp_path, name)


def test_links_lead_out_of_a_folder_only_to_the_blobs_of_a_cache(tmp_path: Path) -> None:
    folder = tmp_path / "snapshots" / "main"
    folder.mkdir(parents=True)
    for place in ("blobs", "elsewhere"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "a").write_bytes(b"")
        (folder / place).symlink_to(tmp_path / place / "a")
    assert inside(folder, "blobs").exists()
    with pytest.raises(ValueError, match="link to elsewhere"):
        inside(folder, "elsewhere")


@pytest.mark.parametrize(
    "change",
    [
        {"layers": 10**15},
        {"layers": 9999},
        {"width": 2**22, "heads": 1, "vocab_size": 2**22},
        {"context": 10**15},
        {"vocab_size": 10**400},
        {"width": 2**63 - 1},  # no multiple of heads: which would do is not looked for without end
        {"width": 0},
        {"heads": -1},
        {"width": 1e9},
        {"width": float("nan")},
        {"dropout": float("nan")},
        {"layers": None},
        {"layers": "4"},
        {"layers": True},
        {"activation": []},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_config_of_another_size_builds_nothing(
    originals: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    run = RunFolder(tmp_path)
    for path in (originals / "run").iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    settings_of = run.read_config()
    settings_of["model"] |= change
    run.config.write_text(json.dumps(settings_of))
    (error,) = in_time(lambda: from_run(tmp_path))
    assert isinstance(error, CheckpointError), error


PATTERNS = [
    "(a+)+$",
    "(a*)*b",
    "(?:a|aa)+$",
    "(a|a){1,99}b",
    r"(\p{L}+\s?)*$",
    r"(a)\1",
    "a*" * 13,
    "a" * 3000,
    r"([a-z]+[)])+x",
    r"[^]()]*(?:[[]a+)*",
]


def with_pattern(pattern: str) -> str:
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated"}
    model = {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}
    return json.dumps(
        {"version": "1.0", "pre_tokenizer": split | {"invert": False}, "model": model}
    )


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_that_search_without_end_are_refused(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "tokenizer.json").write_text(with_pattern(pattern))
    with pytest.raises(DataError, match="pattern"):
        pretrained_tokenizer(tmp_path)


PUBLISHED = [
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+",
]


@pytest.mark.parametrize("pattern", PUBLISHED)
def test_patterns_of_published_tokenizers_are_taken(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "tokenizer.json").write_text(with_pattern(pattern))
    assert len(pretrained_tokenizer(tmp_path).encode("ab ba")) == 4


@pytest.mark.parametrize(
    "rules",
    [
        [{"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}] * 40,
        [{"type": "Replace", "pattern": {"Regex": "."}, "content": "a" * 1000}],
        [{"type": "Replace", "pattern": {"String": ""}, "content": "a" * 1000}],
    ],
    ids=["doubled", "long", "everywhere"],
)
def test_rules_that_make_texts_grow_are_refused(tmp_path: Path, rules: list[Any]) -> None:
    found = json.loads(with_pattern("a"))
    found["normalizer"] = {"type": "Sequence", "normalizers": rules}
    (tmp_path / "tokenizer.json").write_text(json.dumps(found))
    with pytest.raises(DataError, match="characters of one"):
        pretrained_tokenizer(tmp_path)


def test_padding_in_a_description_is_not_done(tmp_path: Path) -> None:
    """A tokenizer of ours, too, may come from someone else."""
    found = json.loads(with_pattern("a"))
    found["padding"] = {
        **{"strategy": {"Fixed": 10**9}, "direction": "Right", "pad_to_multiple_of": None},
        **{"pad_id": 0, "pad_type_id": 0, "pad_token": "a"},
    }
    made = tx.data.load_tokenizer(json.dumps({"kind": "bpe", "tokenizer": found}))
    assert len(made.encode("ab")) == 2


@pytest.mark.parametrize("place", [-1, 5, 2**31, "1", None, []])
def test_a_place_outside_of_the_buffer_of_random_numbers_is_refused(place: Any) -> None:
    """NumPy reads its buffer there without a look."""
    batches = Windows(np.arange(99), 2, 8)
    state = json.loads(batches.state())
    state["buffer_pos"] = place
    with pytest.raises(ValueError, match=r"buffer_pos|random numbers"):
        batches.restore(json.dumps(state))


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    model = GPT(CONFIG)
    model.load_state_dict({**model.state_dict(), "norm.bias": np.full(8, np.nan)})
    model.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"ln_f\.bias holds weights that are not finite"):
        GPT.from_pretrained(tmp_path)


def test_messages_are_one_line_whatever_a_file_says() -> None:
    said = explain("a\nb", "\x1b[2J\r\ud800" + "x" * 100_000)
    assert said.isprintable()
    assert len(said) < 4200


def test_nothing_is_larger_than_the_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(RAW)
    monkeypatch.setattr(untrusted, "memory_of_machine", lambda: len(RAW) - 1)
    with pytest.raises(OSError, match="more than this machine's memory"):
        read_safetensors(tmp_path / "a")


@given(st.randoms(use_true_random=False))
@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=100)
def test_a_mutated_header_is_refused_or_bounded(tmp_path: Path, random: Random) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(mutated_safetensors(RAW, random))
    try:
        found = read_safetensors(path).arrays
        total = sum(np.asarray(a).nbytes for a in found.values())
    except ValueError:
        return
    assert total <= 2 * path.stat().st_size


@given(st.randoms(use_true_random=False), st.sampled_from([f for f in FORMATS if not f.needs]))
@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=100)
def test_a_damaged_file_is_refused_or_loaded(
    originals: Path, tmp_path: Path, random: Random, format: Any
) -> None:
    """A small slice of the campaign, in this process."""
    from tests.hostile.campaign import damaged, verdict

    job = (0, format.name, random.randrange(2**31))
    _, file = damaged(job, originals, tmp_path / "scratch")
    assert verdict(format, file, tmp_path / "scratch") in ("refused", "loaded")
    assert PLACES[format.name]


def test_mutations_reach_their_edges() -> None:
    raw = json.dumps({"a": [1, {"b": "c"}], "d": None}).encode()
    found = [mutated_json(raw, Random(seed)) for seed in range(400)]
    assert len(set(found)) > 200
    for part in (b"[[[[[[", b"NaN", b"1" + b"0" * 30, b"etc/passwd", b"\\ud800"):
        assert any(part in f for f in found), part
