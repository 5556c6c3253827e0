"""The cache folder is its user's alone, or it is not used."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tinygrad_tx.runtime import cache, private
from tinygrad_tx.runtime.private import make_private, why_not_private

pytestmark = pytest.mark.skipif(not hasattr(os, "getuid"), reason="no user numbers here")
needs_root = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="gives files to another user"
)
OTHER = 54321


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def chosen(monkeypatch: pytest.MonkeyPatch, path: Path) -> Path | None:
    """The folder that a fresh process would use."""
    monkeypatch.setenv("TINYGRAD_TX_CACHE", str(path))
    cache._say.cache_clear()
    return cache.folder.__wrapped__()


def test_a_new_folder_and_its_parents_are_closed_whatever_the_umask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.umask(0)
    try:
        found = chosen(monkeypatch, tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert found == tmp_path / "a" / "b" / "kernels"
    assert [mode(p) for p in (found, found.parent, found.parent.parent)] == [0o700] * 3


def test_an_older_folder_that_others_read_is_closed_and_kept(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "kernel").write_text("kept")
    make_private(tmp_path)
    assert mode(tmp_path) == 0o700
    assert (tmp_path / "kernel").exists()


@pytest.mark.parametrize("open_mode", [0o777, 0o770, 0o1777, 0o702])
def test_a_folder_that_others_wrote_is_closed_and_emptied(tmp_path: Path, open_mode: int) -> None:
    (tmp_path / "planted").write_text("x")
    (tmp_path / "link").symlink_to("/")
    tmp_path.chmod(open_mode)
    make_private(tmp_path)
    assert mode(tmp_path) == 0o700
    assert list(tmp_path.iterdir()) == []
    assert why_not_private(tmp_path) == ""


def test_a_parent_that_others_write_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They could put a folder of theirs in its place."""
    tmp_path.chmod(0o777)
    assert chosen(monkeypatch, tmp_path / "own") is None
    said = capsys.readouterr().err
    assert str(tmp_path) in said
    assert "others may write" in said
    assert "TINYGRAD_TX_CACHE" in said
    assert said.count("\n") == 1


def test_a_sticky_parent_is_as_good_as_tmp(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir(0o700)
    tmp_path.chmod(0o1777)
    assert why_not_private(tmp_path / "own") == ""


def test_a_link_is_followed_through_folders_that_are_ours(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(0o700)
    (tmp_path / "link").symlink_to("real")
    assert why_not_private(tmp_path / "link") == ""
    (tmp_path / "real").chmod(0o777)
    assert "others may write" in why_not_private(tmp_path / "link")


def test_a_link_that_others_could_turn_is_refused(tmp_path: Path) -> None:
    """link -> open/turn -> real: nothing is wrong with both ends."""
    (tmp_path / "real").mkdir(0o700)
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "turn").symlink_to(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "open" / "turn")
    (tmp_path / "open").chmod(0o777)
    assert str(tmp_path / "open") in why_not_private(tmp_path / "link")


def test_links_in_a_circle_and_files_in_its_place_are_said_and_nothing_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "a", tmp_path / "file", tmp_path / "file" / "below"):
        assert chosen(monkeypatch, path) is None
        assert "the cache is not used" in capsys.readouterr().err


@needs_root
def test_what_belongs_to_another_user_is_refused(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir(0o700)
    (theirs / "own").mkdir(0o700)
    os.chown(theirs, OTHER, -1)
    assert str(OTHER) in why_not_private(theirs)
    assert str(OTHER) in why_not_private(theirs / "own")
    link = tmp_path / "link"
    (tmp_path / "real").mkdir(0o700)
    link.symlink_to("real")
    os.chown(link, OTHER, -1, follow_symlinks=False)
    assert str(link) in why_not_private(link)


@needs_root
def test_the_group_of_one_user_is_not_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian makes folders writable by the group that each user has alone."""
    (tmp_path / "own").mkdir(0o700)
    tmp_path.chmod(0o770)
    assert why_not_private(tmp_path / "own") == ""  # root's own group
    os.chown(tmp_path, -1, OTHER)
    assert "others may write" in why_not_private(tmp_path / "own")
    os.chown(tmp_path, -1, 0)
    monkeypatch.setattr(private.os, "getuid", lambda: 0)
    group = private.grp.struct_group(("root", "x", 0, ["root", "guest"]))
    monkeypatch.setattr(private.grp, "getgrgid", lambda number: group)
    assert "others may write" in why_not_private(tmp_path / "own")
