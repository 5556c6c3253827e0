"""compare, search and --tensorboard, as people type them."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tinygrad_tx.cli.main import app
from tinygrad_tx.errors import CheckpointError, DataError, TinygradTxError
from tinygrad_tx.train import RunFolder

TINY = "--text a.txt --layers 1 --heads 1 --width 32 --context 16 --batch 4 --steps 16"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    chosen = random.Random(1)
    words = ["the", "model", "learns", "what", "comes", "next"]
    (tmp_path / "a.txt").write_text("".join(f"{chosen.choice(words)} " for _ in range(500)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(line: str) -> Result:
    return CliRunner().invoke(app, line.split())


def done(line: str) -> str:
    result = run(line)
    assert result.exit_code == 0, result.exception
    return result.stdout


def rows_of(out: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(Path(out, "runs.json").read_text())["rows"]
    return found


def test_a_grid_is_searched_and_its_runs_are_run_folders() -> None:
    output = done(f"search --out s --vary learning-rate=1e-2,1e-30 --vary width=16,32 -- {TINY}")
    assert "4 trials (4 finished)" in output
    rows = rows_of("s")
    assert [r["learning_rate"] for r in rows] == [1e-2, 1e-2, 1e-30, 1e-30]
    assert f"generate s/trials/{rows[0]['trial']}" in output
    for name in ("runs.md", "runs.svg", "runs.png", "compare.md", "compare.svg"):
        assert Path("s", name).stat().st_size > 100
    best = f"s/trials/{rows[0]['trial']}"
    config = json.loads(Path(best, "config.json").read_text())
    assert config["training"]["learning_rate"] == 1e-2
    assert config["training"]["steps"] == 16
    assert done(f"generate {best} --prompt the --tokens 5").startswith("the")
    table = json.loads(done("compare s/trials/001 s/trials/004 --json"))
    assert {r["width"] for r in table["rows"]} == {16, 32}
    assert all(r["parameters"] > 0 for r in table["rows"])


def test_halving_and_keep_and_json() -> None:
    rates = "learning_rate=1e-2,1e-3,1e-30,1e30"
    output = done(f"search --out s --vary {rates} --halving --keep 1 --json -- {TINY}")
    found = json.loads(output)
    assert found["best"] == {"learning_rate": 1e-2}
    states = {r["learning_rate"]: (r["state"], r["steps"]) for r in found["rows"]}
    # Four trials: halved after a quarter and after half of the steps.
    assert states[1e-2] == ("finished", 16)
    assert states[1e-3] == ("stopped early", 8)
    assert states[1e-30] == ("stopped early", 4)
    assert states[1e30][0] == "failed"
    assert len(list(Path("s").glob("trials/*/checkpoint.safetensors"))) == 1


def test_a_trial_that_is_to_validate_more_often_does() -> None:
    """Else a search that halves validates at its rungs."""
    for more, every in (("", 8), ("--validate-every 2", 2)):
        out = f"s{every}"
        done(f"search --out {out} --vary heads=1,2 --halving -- {TINY} {more}")
        config = json.loads(Path(out, "trials/001/config.json").read_text())
        assert config["training"]["validate_every"] == every


def test_a_budget_ends_the_search_and_it_goes_on_without_the_options() -> None:
    vary = "--vary learning_rate=log:1e-3..1e-2 --random 2 --seed 4"
    output = done(f"search --out s {vary} --budget-steps 20 -- {TINY}")
    assert "search --resume --out s" in output
    assert sorted(r["steps"] for r in rows_of("s")) == [4, 16]
    done("search --resume --out s --random 3")
    assert [r["steps"] for r in rows_of("s")] == [16, 16, 16]
    whole = {r["learning_rate"]: r["best held out"] for r in rows_of("s")}
    done(f"search --out t --vary learning_rate=log:1e-3..1e-2 --random 3 --seed 4 -- {TINY}")
    assert {r["learning_rate"]: r["best held out"] for r in rows_of("t")} == whole


def test_a_search_that_was_killed_goes_on(here: Path) -> None:
    line = f"search --out s --vary learning_rate=1e-2,3e-3 -- {TINY} --steps 3000"
    process = subprocess.Popen(
        [sys.executable, "-m", "tinygrad_tx", *line.split()],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    saved = here / "s" / "trials" / "001" / "checkpoint.safetensors"
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and not saved.exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert saved.exists()
    for config in here.glob("s/trials/*/config.json"):
        # Not 3,000 steps in a test.
        settings = json.loads(config.read_text())
        settings["training"]["steps"] = 1
        config.write_text(json.dumps(settings))
    plan = json.loads((here / "s/search.json").read_text())
    plan["notes"]["options"][-1] = "20"
    (here / "s/search.json").write_text(json.dumps(plan))
    done("search --resume --out s")
    assert [r["state"] for r in rows_of("s")] == ["finished", "finished"]


def test_data_sets_of_tokens_are_searched_on_and_searched_among(here: Path) -> None:
    for name in ("a", "b"):
        (here / f"{name}.txt").write_text((here / "a.txt").read_text()[:2400])
        done(f"data prepare {name}.txt --out {name} --tokenizer byte --piece 80 --held-out 0.2")
    tiny = f"--data a {TINY.replace('--text a.txt', '')}"
    done(f"search --out s --vary learning_rate=1e-2,1e-30 --halving -- {tiny} --documents")
    assert [(r["learning_rate"], r["steps"]) for r in rows_of("s")] == [(1e-2, 16), (1e-30, 8)]
    known = [json.loads(p.read_text()) for p in Path("s").glob("trials/*/config.json")]
    assert [k["data"]["sets"] for k in known] == [[str(here / "a")]] * 2
    assert all(k["data"]["documents"] for k in known)
    # The best trial is the run that `train` makes of the same options, bit for bit.
    done(f"train --out alone {tiny} --documents --learning-rate 1e-2 --validate-every 8")
    both = ("alone", f"s/trials/{rows_of('s')[0]['trial']}")
    one, other = (RunFolder(p).load_checkpoint() for p in both)
    assert {k: v.tobytes() for k, v in one[0].items()} == {
        k: v.tobytes() for k, v in other[0].items()
    }
    assert one[1]["batches"] == other[1]["batches"]
    # Each with the share that is searched for; the tokenizer is the same.
    output = done(f"search --out t --vary data=b=0.1,b=9 --budget-steps 16 -- {tiny}")
    assert "search --resume --out t" in output
    done("search --resume --out t")
    weights = {
        json.loads(p.read_text())["data"]["weights"][1] for p in here.glob("t/trials/*/config.json")
    }
    assert weights == {0.1, 9.0}
    assert [r["state"] for r in rows_of("t")] == ["finished", "finished"]


def test_tokens_that_vary_are_ranked_by_the_character() -> None:
    output = done(f"search --out s --vary tokenizer=char,byte -- {TINY}")
    assert "nats for each character" in output
    for record in Path("s").glob("trials/*/record.json"):
        record.unlink()  # as before a run's end: what a token is, config.json says from the start
    table = json.loads(done("compare s/trials/001 s/trials/002 --json"))
    assert all(r["best held out"] > 0 for r in table["rows"])


REFUSED: list[tuple[str, type[TinygradTxError], str]] = [
    ("search --vary colour=1,2", DataError, "learning_rate"),
    ("search --vary out=1,2", DataError, "no setting"),
    ("search --vary quick=1,2", DataError, "no setting"),
    ("search --vary documents=true,false", DataError, "no setting"),
    ("search --vary width=16,32 -- --data nowhere", DataError, "nowhere: is no data set"),
    ("search --vary width=0,2", DataError, "width"),
    ("search --vary width", DataError, "SETTING=VALUES"),
    ("search --vary width=1,2 --vary width=3,4", DataError, "again"),
    ("search", DataError, "nothing varies"),
    ("search --vary width=16..32", DataError, "--random"),
    ("search --vary width=16,32 -- --wdth 3", DataError, "wdth"),
    ("search --vary width=16,32 -- --text nope.txt", DataError, "nope.txt"),
    ("search --vary width=16,32 -- --distributed", DataError, "one process"),
    ("search --vary width=16,32 -- --out x", DataError, "before the --"),
    ("search --vary text=a.txt,nope.txt", DataError, "nope.txt"),
    ("search --vary start=nope,a.txt", CheckpointError, "not a run folder"),
    (f"search --vary steps=2,4 --halving -- {TINY}", DataError, "halved"),
    ("search --resume --out nowhere", CheckpointError, "no folder of a search"),
    ("search --resume --vary width=1,2", DataError, "do not go with --resume"),
    ("compare nowhere", DataError, "no run folder"),
]


@pytest.mark.parametrize(("line", "kind", "said"), REFUSED, ids=[r[0] for r in REFUSED])
def test_bad_input_is_refused_and_leaves_nothing(
    here: Path, line: str, kind: type[TinygradTxError], said: str
) -> None:
    result = run(line)
    assert isinstance(result.exception, kind), result.output
    assert said in str(result.exception)
    assert [p.name for p in here.iterdir()] == ["a.txt"]


@pytest.mark.parity
def test_train_for_tensorboard_and_go_on() -> None:
    module = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    pytest.importorskip("tensorboardX")
    done(f"train {TINY} --tensorboard --out r")
    config = Path("r/config.json")
    settings = json.loads(config.read_text())
    settings["training"]["steps"] = 20
    config.write_text(json.dumps(settings))
    done("train --resume --out r")  # it was asked for once
    events = module.EventAccumulator("r").Reload()
    assert [e.step for e in events.Scalars("loss/training")] == list(range(1, 21))
    assert events.Images("model")[0].width > 50
    assert "samples/1/text_summary" in events.Tags()["tensors"]


def test_train_for_tensorboard_without_it_is_one_line(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    result = run(f"train {TINY} --tensorboard --out r")
    assert isinstance(result.exception, DataError)
    assert "tinygrad-tx[tensorboard]" in str(result.exception)
    assert not Path("r").exists()
