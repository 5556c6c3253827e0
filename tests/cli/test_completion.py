"""The shell asks for completions as bash, zsh and fish do; scripts run in those that are here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tinygrad_tx as tx
from tinygrad_tx.bench import SUITES
from tinygrad_tx.cli.completion import listed
from tinygrad_tx.cli.main import app
from tinygrad_tx.compiler.pipeline import PASSES
from tinygrad_tx.models import PRESETS
from tinygrad_tx.tasks import TASKS
from tinygrad_tx.viz.views import VIEWS

SHELLS = ("bash", "zsh", "fish")


def answer(shell: str, typed: str) -> set[str]:
    """What is offered behind `typed`, whose last word is begun; without the help beside it."""
    words = typed.split(" ")
    env = {"_TINYGRAD_TX_COMPLETE": f"complete_{shell}"}
    if shell == "bash":
        env |= {"COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}
    else:
        env |= {"_TYPER_COMPLETE_ARGS": typed, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = CliRunner().invoke(app, [], env=env, prog_name="tinygrad-tx")
    if shell == "zsh":
        # _arguments '*: :(("name":"help" ...))', quotes left out where there is no help.
        inner = done.stdout.partition("((")[2].rpartition("))")[0] or done.stdout.partition(":(")[2]
        lines = inner.replace(")'", "").splitlines()
        return {word.split('":"')[0].strip('"') for line in lines for word in line.split('" "')}
    return {line.split("\t")[0] for line in done.stdout.split("\n") if line}


@pytest.mark.parametrize("shell", SHELLS)
def test_commands_are_offered_by_their_beginning(shell: str) -> None:
    assert answer(shell, "tinygrad-tx pr") == {"pretrain", "prompt"}


@pytest.mark.parametrize("shell", SHELLS)
def test_options_are_offered(shell: str) -> None:
    assert answer(shell, "tinygrad-tx train --val") == {"--validate-every"}


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("draw --preset gpt2", {name for name in PRESETS if name.startswith("gpt2")}),
        ("plan --preset ", set(PRESETS)),
        ("draw --view ", set(VIEWS)),
        ("draw --lang ", {"en", "zh"}),
        ("finetune ", set(TASKS)),
        ("gradcheck softm", {"softmax", "softmax_gradient"}),
        ("bench ", set(SUITES)),
        ("import mini", {n for n in tx.models.published.packages.PACKAGES if n[:4] == "mini"}),
        ("train --on-bad ", {"stop", "skip", "rollback"}),
        ("data pre", {"prepare"}),
    ],
)
def test_values_are_those_that_the_command_takes(typed: str, offered: set[str]) -> None:
    assert offered
    assert answer("bash", f"tinygrad-tx {typed}") == offered


def test_the_last_name_of_a_list_is_completed() -> None:
    assert listed(PASSES)("expand,si") == ["expand,simplify"]
    assert listed(PASSES)("") == sorted(PASSES)


def script(shell: str, folder: Path) -> str:
    """What --show-completion prints, by a program of that name."""
    program = folder / "tinygrad-tx"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{folder}/main.py" "$@"\n')
    program.chmod(0o755)
    (folder / "main.py").write_text(
        "import sys\nfrom tinygrad_tx.cli import main\nsys.argv[0] = 'tinygrad-tx'\nmain()\n"
    )
    env = surroundings(folder) | {"_TINYGRAD_TX_COMPLETE": f"source_{shell}"}
    done = subprocess.run(
        [program], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert "_TINYGRAD_TX_COMPLETE" in done.stdout, done.stderr
    return done.stdout


def surroundings(folder: Path) -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": root}


@pytest.mark.slow
@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_works_in_the_shell_itself(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "script").write_text(script(shell, tmp_path))
    asked = {
        "bash": "source ./script; COMP_WORDS=(tinygrad-tx finetu); COMP_CWORD=1; "
        "_tinygrad_tx_completion tinygrad-tx; echo ${COMPREPLY[@]}",
        "zsh": "compdef() { :; }; _arguments() { print -r -- $@ }; source ./script; "
        "words=(tinygrad-tx finetu); CURRENT=2; _tinygrad_tx_completion",
        "fish": "source ./script; complete -C 'tinygrad-tx finetu'",
    }[shell]
    done = subprocess.run(
        [shell, "-c", asked],
        cwd=tmp_path,
        env=surroundings(tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "finetune" in done.stdout, done.stdout + done.stderr
