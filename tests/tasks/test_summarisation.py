"""Docstrings of packages made here: what is taken, that parts are apart, that nothing is run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tinygrad_tx.data.docstrings import (
    Documented,
    documented,
    first_sentence,
    held_out_packages,
    name_words,
    parts,
)
from tinygrad_tx.data.snownlp import content_key
from tinygrad_tx.errors import DataError

BODY = "This is the body, in more than eight words, of number {}."


def source(*texts: str) -> str:
    lines = ["raise SystemExit('never run')"]
    lines += [f'def f_{i}():\n    """{text}"""\n' for i, text in enumerate(texts)]
    return "\n".join(lines)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twelve packages of twenty functions, and files that are not to be read."""
    number = 0
    for p in range(12):
        folder = tmp_path / f"package{p}"
        folder.mkdir()
        texts = []
        for _ in range(20):
            texts.append(f"Does thing {number} of all.\n\n    {BODY.format(number)}\n    Twice.")
            number += 1
        (folder / "__init__.py").write_text(source(*texts))
    first = tmp_path / "package0"
    (first / "_vendor").mkdir()
    (first / "_vendor" / "copy.py").write_text(source("A copied line.\n\n" + BODY.format("x")))
    (first / "broken.py").write_text('def f(:\n    """A broken line."""')
    (tmp_path / "alone.py").write_text(
        source(
            "A line of a module.\n\n    " + BODY.format("alone"),
            "One line and nothing else here.",
            "A first line that goes on\n    in a second.\n\n    " + BODY.format("two lines"),
            "Short body.\n\n    Too short.",
            "Does thing 3 of all!\n\n    " + BODY.format("copy of a first line"),
            "Another first line.\n\n    " + BODY.format(5) + " Twice.",
        )
    )
    return tmp_path


def test_first_lines_and_bodies_are_taken_once_and_nothing_is_run(root: Path) -> None:
    found = documented([root])
    by_first = {one.first: one for one in found}
    assert by_first["A line of a module."].package == "alone"
    assert by_first["Does thing 7 of all."] == Documented(
        "package0", "f_7", "Does thing 7 of all.", BODY.format(7) + " Twice."
    )
    # "alone" is read first: its copies of a first line and of a body stand for those of package0.
    assert {"Does thing 3 of all!", "Another first line."} <= set(by_first)
    assert not {"Does thing 3 of all.", "Does thing 5 of all."} & set(by_first)
    assert len(found) == 12 * 20 + 1
    assert not {"A copied line.", "A broken line.", "Short body."} & set(by_first)
    for part in ("first", "body"):
        keys = [content_key(getattr(one, part)) for one in found]
        assert len(set(keys)) == len(keys)
    assert found == documented([root])


def test_no_package_is_in_both_parts(root: Path) -> None:
    learnt, held = parts(documented([root]))
    assert not {o.package for o in learnt} & {o.package for o in held}
    assert not {content_key(o.first) for o in learnt} & {content_key(o.first) for o in held}
    assert 0 < len(held) < 0.25 * len(learnt)


def test_held_out_packages_have_about_the_share_whatever_the_sizes() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        sizes = rng.integers(1, 400, 40)
        some = [
            Documented(f"p{i}-{size}", "f", "", "")
            for i, size in enumerate(sizes)
            for _ in range(size)
        ]
        held = held_out_packages(some)
        share = sum(one.package in held for one in some) / len(some)
        assert 0.05 < share <= 0.12


def test_packages_that_cannot_be_parted_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="install"):
        documented([tmp_path])
    (tmp_path / "one.py").write_text(source("A line of a module.\n\n    " + BODY.format(1)))
    with pytest.raises(DataError, match="one package"):
        parts(documented([tmp_path]))


def test_first_sentences_and_words_of_names() -> None:
    assert first_sentence("It reads v1.2 files. Then more.") == "It reads v1.2 files."
    assert first_sentence("No stop here") == "No stop here"
    assert name_words("_read_fileName2X") == "read file name2 x"
