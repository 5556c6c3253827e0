"""Runs side by side: what differs, in which unit, and folders that are not whole."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st
from matplotlib.figure import Figure
from matplotlib.image import imread

from tinygrad_tx.errors import DataError
from tinygrad_tx.train import RunFolder, TrainConfig, compare, curves as curves_module, history_of
from tinygrad_tx.train.curves import MOST_NAMED

CHAR = json.dumps({"kind": "char", "alphabet": "abc"})
BYTE = json.dumps({"kind": "byte"})


def rows(steps: int, floor: float, **more: Any) -> list[dict[str, Any]]:
    """Losses that fall; validated at every fifth step, lowest at the last."""
    found: list[dict[str, Any]] = []
    for step in range(1, steps + 1):
        row = {"step": step, "loss": floor + 2 / step, "tokens_per_second": 320.0, **more}
        if step % 5 == 0:
            row["validation"] = floor + 2.5 / step
        found.append(row)
    return found


def make(
    path: Path, floor: float = 1.0, steps: int = 20, units: str = CHAR, **training: Any
) -> Path:
    path.mkdir(parents=True)
    settings = {
        "text": "/texts/novel.txt",
        "model": {"vocab_size": 3, "context": 8, "layers": 1, "heads": 1, "width": 16},
        "training": {"steps": 20, "batch": 4, "learning_rate": 0.1} | training,
    }
    (path / "config.json").write_text(json.dumps(settings))
    (path / "tokenizer.json").write_text(units)
    lines = "".join(json.dumps(r) + "\n" for r in rows(steps, floor))
    (path / "metrics.jsonl").write_text(lines)
    return path


def with_corpus(path: Path, tokens: int, characters: int) -> Path:
    config = json.loads((path / "config.json").read_text())
    config["corpus"] = {"tokens": tokens, "characters": characters}
    (path / "config.json").write_text(json.dumps(config))
    return path


def cells(table: Any) -> dict[str, dict[str, Any]]:
    return {row["run"]: row for row in table.json()["rows"]}


def test_the_table_says_what_differs_and_how_low_each_came(tmp_path: Path) -> None:
    a = make(tmp_path / "a", floor=1.5, learning_rate=0.2)
    b = make(tmp_path / "b", floor=1.0)
    table = compare([a, b]).table()
    found = cells(table)
    assert list(found) == ["b", "a"]  # the best first
    assert "learning_rate" in table.columns
    assert not {"width", "batch", "text", "vocab_size"} & set(table.columns)
    assert found["a"]["learning_rate"] == 0.2
    assert found["b"]["best held out"] == pytest.approx(1 + 2.5 / 20)
    assert (found["b"]["at step"], found["b"]["steps"], found["b"]["state"]) == (20, 20, "finished")
    assert found["b"]["seconds"] == pytest.approx(
        20 * 4 * 8 / 320
    )  # 32 tokens a step, 320 a second
    assert found["b"]["tokens/s"] == 320


def test_rows_that_say_tokens_and_seconds_are_believed(tmp_path: Path) -> None:
    a = make(tmp_path / "a")
    said = [r | {"tokens": 7 * r["step"], "seconds": 3.0 * r["step"]} for r in rows(4, 1.0)]
    (a / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in said))
    last = history_of(a).rows[-1]
    assert (last["tokens"], last["seconds"]) == (28, 12.0)


def test_an_interrupted_run_is_compared_as_far_as_it_came(tmp_path: Path) -> None:
    found = cells(compare([make(tmp_path / "a"), make(tmp_path / "b", steps=7)]).table())
    assert found["b"]["state"] == "stopped at step 7 of 20"
    assert (found["b"]["at step"], found["b"]["last held out"]) == (5, 1.5)


def test_runs_of_different_tokens_are_compared_by_the_character(tmp_path: Path) -> None:
    """A loss in nats for each token times the tokens in a character: nats for each character."""
    a = with_corpus(make(tmp_path / "a", floor=1.0), tokens=90, characters=90)
    b = with_corpus(make(tmp_path / "b", floor=1.5, units=BYTE), tokens=100, characters=400)
    c = make(tmp_path / "c", floor=0.1, units=json.dumps({"kind": "char", "alphabet": "xyz"}))
    whole = compare([a, b, c])
    table = whole.table()
    found = cells(table)
    assert list(found) == ["b", "a", "c"]
    assert found["b"]["best held out"] == pytest.approx((1.5 + 2.5 / 20) / 4)
    assert found["c"]["best held out"] is None
    assert "for each character" in table.title
    notes = " ".join(table.notes)
    assert "would not be comparable" in notes
    assert "Of c it is not known" in notes
    assert "nats for each character" in whole.picture("svg").decode()


def test_different_texts_are_said(tmp_path: Path) -> None:
    a, b = make(tmp_path / "a"), make(tmp_path / "b")
    config = json.loads((b / "config.json").read_text())
    (b / "config.json").write_text(json.dumps(config | {"text": "/texts/letters.txt"}))
    table = compare([a, b]).table()
    assert "different texts" in " ".join(table.notes)
    assert cells(table)["b"]["text"] == "letters.txt"


def test_empty_damaged_and_missing_folders_are_a_line_each(tmp_path: Path) -> None:
    good = make(tmp_path / "good")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    odd = make(tmp_path / "odd")
    (odd / "record.json").write_text("{")
    worse = make(tmp_path / "worse")
    (worse / "config.json").write_text("[1")
    (worse / "tokenizer.json").write_bytes(b"\xff")
    found = compare([good, tmp_path / "empty", tmp_path / "file", odd, worse, tmp_path / "gone"])
    assert set(found.runs) == {"good", "odd", "worse"}
    notes = "\n".join(found.notes)
    for said in (
        "empty: no finished step",
        "file: no run folder",
        "gone: no run folder",
        "odd/record.json: is damaged",
        "worse/config.json: is damaged",
    ):
        assert said in notes
    with pytest.raises(DataError, match="no run to show: gone"):
        compare([tmp_path / "gone"])
    with pytest.raises(DataError, match="none was given"):
        compare([])


numbers = st.one_of(st.integers(), st.floats(), st.text(max_size=3), st.none(), st.booleans())
junk = st.recursive(numbers, lambda inner: st.lists(inner, max_size=3), max_leaves=4)
keys = st.sampled_from(["step", "loss", "validation", "tokens", "seconds", "tokens_per_second"])
sections = st.sampled_from(["model", "training", "text", "corpus", "parent"])
plain = st.one_of(st.integers(-2, 10**400), st.floats())
lines = st.one_of(
    st.dictionaries(keys, st.one_of(plain, junk)).map(json.dumps),
    junk.map(json.dumps),
    st.text(max_size=20),
)


@given(
    st.lists(lines, max_size=6),
    st.one_of(
        junk,
        st.dictionaries(st.sampled_from(["model", "training", "text", "corpus", "parent"]), junk),
    ),
    st.binary(max_size=5),
)
@hypothesis_settings(max_examples=60, deadline=None)
def test_whatever_a_folder_holds_it_is_read_or_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], config: Any, end: bytes
) -> None:
    path = make(tmp_path_factory.mktemp("junk") / "run", steps=2)
    with open(path / "metrics.jsonl", "ab") as file:
        file.write("\n".join(lines).encode(errors="replace") + end)
    (path / "config.json").write_text(json.dumps(config))
    found = compare([path])
    table = found.table()
    json.dumps(table.json(), allow_nan=False, default=str)
    assert table.text()
    steps = [r["step"] for r in found.runs["run"].rows]
    assert steps == sorted(set(steps))
    assert {1, 2} <= set(steps)


def test_names_are_as_long_as_it_takes_to_tell_them_apart(tmp_path: Path) -> None:
    paths = [make(tmp_path / "one" / "gpt"), make(tmp_path / "two" / "gpt")]
    assert set(compare([*paths, paths[0]]).runs) == {"one/gpt", "two/gpt"}


def test_files_are_left_and_a_second_time_they_are_the_same(tmp_path: Path) -> None:
    runs = [make(tmp_path / "a"), make(tmp_path / "b", floor=2.0)]
    names = ["compare.json", "compare.md", "compare.png", "compare.svg"]
    compare(runs, tmp_path / "out")
    before = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir() if p.suffix != ".lock"}
    assert sorted(before) == names
    compare(runs, tmp_path / "out")
    assert all((tmp_path / "out" / n).read_bytes() == before[n] for n in names)
    assert "![Losses](compare.svg)" in before["compare.md"].decode()
    assert imread(io.BytesIO(before["compare.png"])).std() > 0.01


@pytest.mark.parametrize("count", [1, 2, 12, 30])
def test_the_key_stands_under_the_panels_and_inside_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    kept: list[Figure] = []
    made = curves_module.picture_bytes

    def keep(figure: Figure, format: str) -> bytes:
        kept.append(figure)
        return made(figure, format)

    monkeypatch.setattr(curves_module, "picture_bytes", keep)
    name = "a-run-with-a-name-that-is-much-longer-than-forty-characters-{:02d}"
    runs = [make(tmp_path / name.format(i), floor=1 + i / 20) for i in range(count)]
    compare(runs).picture("png")
    (figure,) = kept
    (key,) = figure.legends
    box = key.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width
    assert box.y0 >= 0
    for axes in figure.axes:
        assert box.y1 <= axes.get_tightbbox().y0 + 3  # type: ignore[union-attr]  # it is drawn
    labels = [t.get_text() for t in key.get_texts()]
    assert len(labels) == len(set(labels)) == min(count, MOST_NAMED) + 1 + (count > MOST_NAMED)
    texts = [t.get_window_extent() for t in key.get_texts()]
    assert not any(a.overlaps(b) for i, a in enumerate(texts) for b in texts[i + 1 :]), (
        "names lie on each other"
    )


def test_a_run_that_diverges_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Figure] = []
    monkeypatch.setattr(
        curves_module, "picture_bytes", lambda figure, _: kept.append(figure) or b""
    )
    bad = make(tmp_path / "bad")
    leaps = [{"step": 1, "loss": 3.0}, *({"step": s, "loss": 3.0} for s in range(2, 9))]
    leaps += [{"step": s, "loss": 10.0**s} for s in range(9, 12)]
    (bad / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in leaps))
    compare([bad, make(tmp_path / "good")]).picture("svg")
    assert kept[0].axes[0].get_ylim()[1] < 4


def test_long_runs_make_small_pictures(tmp_path: Path) -> None:
    run = make(tmp_path / "long")
    with open(run / "metrics.jsonl", "w") as file:
        for step in range(1, 50_001):
            file.write(json.dumps({"step": step, "loss": 2 + math.sin(step)}) + "\n")
    assert len(compare([run]).picture("svg")) < 200_000


def test_a_step_says_tokens_and_seconds_so_far(tmp_path: Path) -> None:
    import tinygrad_tx as tx
    from tinygrad_tx.data import Windows
    from tinygrad_tx.train import fit

    tokens = np.tile(np.arange(11), 60)
    model = tx.models.GPT(tx.models.GPTConfig(11, 8, 1, 1, 16))
    config = TrainConfig(steps=4, batch=2, validate_every=2)
    fit(model, Windows(tokens, 2, 8), Windows(tokens, 2, 8), config, RunFolder(tmp_path))
    found = RunFolder(tmp_path).read_metrics()
    assert [r["tokens"] for r in found] == [16, 32, 48, 64]
    seconds = [r["seconds"] for r in found]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0
