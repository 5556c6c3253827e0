"""tinygrad-tx explain: a page and its figures, or one clear line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explain") / "run"
    text = folder.parent / "text.txt"
    text.write_text("the cat sat on the mat. " * 60)
    sizes = ["--layers", "1", "--heads", "2", "--width", "16", "--context", "16"]
    done = command("train", "--text", text, "--out", folder, "--steps", "2", "--batch", "2", *sizes)
    assert done.returncode == 0, done.stderr
    return folder


def command(*words: Any) -> Any:
    line = [sys.executable, "-m", "tinygrad_tx", *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_a_page_is_written_with_its_figures(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "why.html"
    done = command("explain", run, "--text", "the cat", "--out", out, "--json", "--target", "s")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(out.with_suffix(".json").read_text())
    assert "“s”" in out.read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--text", ""], "empty"),
        (["--text", "the cat", "--target", "at"], "2 tokens: ['a', 't']"),
        (["--text", "the cat", "--out", "why.txt"], "does not end in .html"),
        (["--text", "the Q"], "'Q'"),
    ],
)
def test_bad_input_is_one_line(run: Path, options: Any, words: str) -> None:
    done = command("explain", run, *options)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
