"""The command `data`, and training on what it makes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.run import TINY as SMALLEST, command as run
from tinygrad_tx.data import default_text

TINY = (*SMALLEST, "--steps", "12")


def command(words: str, folder: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = run(*words.split(), folder=folder)
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Has a data set in `set`, and a run on it in `run`."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "a.txt").write_text(default_text()[:30_000])
    said = command("data prepare a.txt --out set --tokenizer byte --piece 200", folder).stdout
    assert "tokens to learn from" in said
    said = command(f"train --data set --out run {' '.join(TINY)}", folder).stdout
    assert "tokens spread evenly" in said
    assert "Held-out loss" in said
    return folder


def test_what_was_prepared_is_described_checked_and_shown(folder: Path) -> None:
    found = json.loads(command("data info set --json", folder).stdout)
    assert found["learning"]["characters"] + found["held_out"]["characters"] == 30_000
    assert found["sources"][0]["path"] == "a.txt"
    assert "a.txt" in command("data info set", folder).stdout
    assert "4 files are what they were" in command("data check set", folder).stdout
    text = default_text()[:30_000]
    shown = command("data sample set --windows 2 --context 20", folder).stdout
    assert shown.split("\n" + "-" * 40)[0] in text


def test_training_goes_on_from_where_it_was_and_from_its_weights(folder: Path) -> None:
    run = json.loads((folder / "run" / "config.json").read_text())
    assert run["data"]["sets"] == [str(folder / "set")]
    assert "12 steps" in command("train --resume --out run", folder).stdout
    command("data prepare a.txt --out two --tokenizer byte --piece 400", folder)
    said = command("train --start-from run --data set=2 --data two --steps 4 --out tuned", folder)
    assert "On the parent's corpus, set" in said.stdout
    record = json.loads((folder / "tuned" / "record.json").read_text())
    assert record["forgetting"]["after"] is not None
    assert record["corpus"]["tokens"] == 2 * len(default_text()[:30_000].encode())


def test_bad_input_is_one_line_and_code_2(folder: Path) -> None:
    (folder / "bad.txt").write_bytes(b"abc\xff")
    for words, message in (
        ("data prepare bad.txt --out bad", "bad.txt: is not UTF-8: byte 0xff at 3"),
        ("data check run", "is no data set"),
        ("train --data set --text a.txt --out none", "--text: does not go with --data"),
        ("train --data set=much --out none", "'set=much' ends in no number"),
        ("train --data set=0 --data set --out none", "Mixture: weights"),
        ("train --documents --out none", "--documents: goes with --data only"),
        ("train --data set --context 900000 --out none", "one window and its target"),
    ):
        done = command(words, folder, 2)
        assert message in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
