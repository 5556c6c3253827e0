"""pretrain and finetune as people type them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.run import command


def test_a_quick_pretraining_prints_its_outcome_as_json_alone(tmp_path: Path) -> None:
    done = command("pretrain", "--quick", "--out", "mlm", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["quick"] is True
    assert outcome == json.loads((tmp_path / "mlm" / "outcome.json").read_text())
    again = command("pretrain", "--quick", "--out", "mlm", folder=tmp_path)
    assert (again.returncode, again.stdout) == (2, "")
    assert "--resume" in again.stderr
    resumed = command("pretrain", "--quick", "--out", "mlm", "--resume", folder=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert "hidden words: both neighbours" in resumed.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nothing",), "'nothing' is not one of"),
        (("sentiment", "--quick"), "pip install snownlp"),
        (("sentiment", "--out", "file/run", "--quick"), "cannot be written"),
    ],
)
def test_bad_input_ends_with_one_line(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    nowhere = str(tmp_path / "nowhere")
    done = command("finetune", *words, folder=tmp_path, TINYGRAD_TX_SNOWNLP=nowhere)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
