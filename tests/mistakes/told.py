"""The list of mistakes as data, and what somebody is told who makes one.

A mistake is a table in a .toml file: what people write (`wrong`, or `command` behind tinygrad-tx),
the error or warning (none: nothing is said) with `parts` that its text must have, and what to write
instead, which is run as well. docs/make_mistakes.py makes pages of it.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import io
import os
import shlex
import shutil
import sys
import tempfile
import tomllib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from tinygrad_tx.cli.main import main

PRELUDE = """
import numpy as np
import tinygrad_tx as tx

rng = np.random.default_rng(0)
config = tx.models.GPTConfig(vocab_size=65, context=16, layers=1, heads=2, width=16)
model = tx.models.GPT(config)
tokens = np.arange(24).reshape(2, 12)
x = tx.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
"""

TEXT = "the quick brown fox jumps over the lazy dog and goes on\n" * 40
"""What text.txt holds for commands."""
SIZES = "--layers 1 --heads 1 --width 32 --context 16 --batch 4 --steps 2"
RUN = f"train --text text.txt {SIZES} --out run"


@dataclass(frozen=True)
class Mistake:
    """error: the class of what is raised, or of a warning; empty where nothing is said."""

    name: str
    instead: str
    wrong: str = ""
    command: str = ""
    error: str = ""
    parts: tuple[str, ...] = ()
    said: str = ""
    """What the page shows of a text that others word, in each version otherwise."""
    why: str = ""
    before: str = ""
    """Of a command: "run" if there is a run folder `run`."""


@dataclass(frozen=True)
class Topic:
    """A page's section."""

    title: str
    mistakes: tuple[Mistake, ...]
    intro: str = ""


def topics() -> list[Topic]:
    """All there are, in the order of the page."""
    files = Path(__file__).parent.glob("*.toml")
    return [_topic(f) for f in sorted(files, key=lambda f: int(f.name.partition("_")[0]))]


def _topic(path: Path) -> Topic:
    found = tomllib.loads(path.read_text(encoding="utf-8"))
    mistakes = tuple(
        Mistake(**{k: tuple(v) if k == "parts" else v.strip("\n") for k, v in one.items()})
        for one in found["mistake"]
    )
    return Topic(found["title"], mistakes, found.get("intro", ""))


@functools.cache
def told(mistake: Mistake) -> tuple[str, str]:
    """The class of the error or warning and its text; two empty texts where nothing is said."""
    with _somewhere():
        if mistake.command:
            code, said = _command(mistake.command, mistake.before)
            assert code == 2, said
            return "exit code 2", said
        names = _begun()
        with warnings.catch_warnings(record=True) as caught, _quiet():
            warnings.simplefilter("always")
            try:
                exec(compile(mistake.wrong, "mine.py", "exec"), names)
            except Exception as error:
                return type(error).__name__, str(error).partition("\n")[0]
        for warning in caught:
            return type(warning.message).__name__, str(warning.message)
    return "", ""


def do_instead(mistake: Mistake) -> None:
    """What is written instead, which raises nothing and warns of nothing."""
    with _somewhere():
        if mistake.command:
            code, said = _command(mistake.instead, mistake.before)
            assert code == 0, said
            return
        with _quiet():
            exec(compile(mistake.instead, "mine.py", "exec"), _begun())


def _begun() -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "mine"}
    exec(compile(PRELUDE.strip("\n"), "mine.py", "exec"), names)
    return names


@contextlib.contextmanager
def _somewhere() -> Iterator[None]:
    """In an empty folder, but for a text."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            Path("text.txt").write_text(TEXT, encoding="utf-8")
            yield
        finally:
            os.chdir(before)


@contextlib.contextmanager
def _quiet() -> Iterator[io.StringIO]:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        yield said


def _command(words: str, before: str = "") -> tuple[int, str]:
    """Exit code of tinygrad-tx, run in this process, and the last line that it says."""
    if before == "run":
        shutil.copytree(_trained(), "run")
    with _quiet() as said, mock.patch.object(sys, "argv", ["tinygrad-tx", *shlex.split(words)]):
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    lines = said.getvalue().strip().splitlines()
    return code, lines[-1].removeprefix("tinygrad-tx: ") if lines else ""


@functools.cache
def _trained() -> Path:
    """A run folder, trained once for all."""
    kept = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, kept, ignore_errors=True)
    with _somewhere():
        code, said = _command(RUN)
        assert code == 0, said
        shutil.move("run", kept / "run")
    return kept / "run"
