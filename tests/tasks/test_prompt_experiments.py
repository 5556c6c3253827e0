"""Experiments with prompts: on made-up reviews, on this Python's docstrings, and as a command."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from tinygrad_tx.cli.main import app
from tinygrad_tx.data import ByteTokenizer
from tinygrad_tx.errors import CheckpointError, DataError
from tinygrad_tx.models import GPT, GPTConfig, from_package, from_run
from tinygrad_tx.prompt import Template, Verbalizer, load_tuned, score
from tinygrad_tx.prompt.docstrings import MODEL, SUBJECTS, balanced, demonstrations, first_lines
from tinygrad_tx.prompt.experiments import EXPERIMENTS
from tinygrad_tx.prompt.reviews import load_reviews
from tinygrad_tx.prompt.search import Grammar, search
from tinygrad_tx.tasks import TaskConfig, read_outcome


def command(*words: str) -> Result:
    return CliRunner().invoke(app, ["prompt", *words])


@pytest.fixture
def compared(own_texts: None, tmp_path: Path) -> Path:
    """A folder with a quick comparison."""
    out = tmp_path / "prompts"
    EXPERIMENTS["compare"](TaskConfig(out, quick=True))
    return out


def test_the_comparison_leaves_one_table_and_its_model_answers_prompts(compared: Path) -> None:
    outcome = read_outcome(compared / "outcome.json")
    rows = {row.method: row for row in outcome.rows}
    assert list(rows) == [
        "zero-shot, first template",
        "zero-shot, searched",
        "zero-shot, searched, calibrated",
        "few-shot",
        "few-shot, calibrated",
        "soft prompt",
        "prefix",
        "LoRA, rank 8",
        "full fine-tuning",
        "naive Bayes",
    ]
    order = [rows[n].trained for n in ("few-shot", "soft prompt", "prefix", "full fine-tuning")]
    assert order == sorted(order)
    assert (order[0], order[1], order[2]) == (0, 3 * 16, 3 * 2 * 16)  # length x width, twice
    # What is frozen is frozen: all but full fine-tuning can be taken away.
    kept = [n.partition(":")[0] for n in outcome.notes if "bit for bit" in n]
    assert kept == ["soft prompt", "prefix", "LoRA, rank 8"]
    assert any("Template search: 2 templates" in n and "gap of" in n for n in outcome.notes)
    assert "<svg" in (compared / "figure.svg").read_text()
    run = str(compared / "pretraining")
    words = ["--template", "{text}，很{mask}", "--label", "up=好", "--label", "down=差"]
    done = command(run, *words, "--slot", "text=天地", "--json")
    assert done.exit_code == 0, done.exception
    model, units = from_run(run)
    verbalizer = Verbalizer({"up": ["好"], "down": ["差"]})
    truth = score(model, units, Template("{text}，很{mask}"), verbalizer, [{"text": "天地"}])[0]
    assert list(json.loads(done.output).values()) == pytest.approx(truth.tolist(), abs=1e-6)
    even = command(run, *words, "--slot", "text=天", "--content-free", "天", "--json")
    assert list(json.loads(even.output).values()) == pytest.approx([0.5, 0.5])
    plain = command(run, *words, "--slot", "text=天地")
    assert plain.output.split()[1::2] == (["up", "down"] if truth[0] > 0.5 else ["down", "up"])
    free = command(run, "--template", "{text}{mask}", "--slot", "text=天地", "--tokens", "5")
    assert free.exit_code == 0
    assert len(free.output.strip()) <= 5


@pytest.mark.usefixtures("own_texts")
def test_reviews_become_lines_of_known_characters() -> None:
    data = load_reviews(20, "好差，")
    assert data.tokenizer.vocab_size == 20
    assert set("好差，\n□") <= set(data.tokenizer.alphabet)
    for part in (0, 1):
        text = data.tokenizer.decode(data.streams[part])
        assert text.strip("\n").split("\n") == data.texts[part]
        assert len(data.texts[part]) == len(data.labels[part])
        marks = {t[0]: label for t, label in zip(data.texts[part], data.labels[part], strict=True)}
        assert marks == {"好": "positive", "差": "negative"}


def test_a_search_gives_every_sentence_of_the_grammar_with_its_own_accuracy() -> None:
    model = GPT(GPTConfig(256, 32, 1, 2, 16), 3).eval()
    rng = np.random.default_rng(0)
    for p in model.parameters():
        p.assign_(p.numpy() + rng.normal(0, 0.2, p.shape).astype(np.float32))
    grammar = Grammar(
        ("", "so "), (" is ", ": "), ({"a": ["x"], "b": ["y"]}, {"a": ["y"], "b": ["x"]})
    )
    texts, labels = ["one", "two", "three", "four", "five"], ["a", "b", "a", "a", "b"]
    found = search(model, ByteTokenizer(), grammar, texts, labels)
    assert len(found) == 8
    accuracies = [c.accuracy for c in found]
    assert accuracies == sorted(accuracies, reverse=True)
    for candidate in found:
        right = 0
        for text, label in zip(texts, labels, strict=True):
            example = [{"text": text}]
            chances = score(
                model, ByteTokenizer(), candidate.template, candidate.verbalizer, example
            )
            right += candidate.verbalizer.labels[int(chances[0].argmax())] == label
        assert candidate.accuracy == right / 5
    by_template = Counter[str]()
    for c in found:  # words exchanged, answers exchanged
        by_template[c.template.text] += round(5 * c.accuracy)
    assert set(by_template.values()) == {5}


def test_docstrings_of_five_subjects_are_split_without_overlap() -> None:
    lines = first_lines()
    assert len({text for text, _ in lines}) == len(lines) > 500
    assert {subject for _, subject in lines} == set(SUBJECTS)
    test, pool = balanced(lines, 50)
    assert Counter(s for _, s in test) == dict.fromkeys(SUBJECTS, 10)
    assert not {t for t, _ in test} & {t for t, _ in pool}
    shown = demonstrations(pool, 2, (0, 1))
    assert Counter(label for _, label in shown) == dict.fromkeys(SUBJECTS, 2)
    known = dict(pool)
    assert all(known[example["text"]] == label for example, label in shown)


@pytest.mark.parametrize("name", ["soft-prompt", "prefix"])
def test_trained_prompts_are_left_as_files_that_commands_ask_and_write_with(
    compared: Path, name: str
) -> None:
    run, path = compared / "pretraining", compared / f"{name}.safetensors"
    words = ["--template", "{text}，很{mask}", "--label", "up=好", "--label", "down=差"]
    asked = [str(run), *words, "--slot", "text=天地", "--json"]
    done = command(*asked, "--tuned", str(path))
    assert done.exit_code == 0, done.exception
    model, units = from_run(run)
    tuned = load_tuned(model, path)
    verbalizer = Verbalizer({"up": ["好"], "down": ["差"]})
    truth = score(tuned, units, Template("{text}，很{mask}"), verbalizer, [{"text": "天地"}])[0]
    assert list(json.loads(done.output).values()) == pytest.approx(truth.tolist(), abs=1e-6)
    assert json.loads(command(*asked).output) != json.loads(done.output)
    options = ["--prompt", "天", "--tokens", "9", "--temperature", "0"]
    wrote = CliRunner().invoke(app, ["generate", str(run), *options, "--tuned", str(path)])
    assert wrote.exit_code == 0, wrote.exception
    said = list(tuned.generate(units.encode("天").tolist(), 9, temperature=0))
    assert wrote.output == f"天{units.decode(said)}\n"
    refused = command(*asked, "--tuned", str(compared / "pretraining" / "checkpoint.safetensors"))
    assert "neither a soft prompt nor a prefix" in str(refused.exception)


@pytest.mark.slow
def test_the_published_model_is_asked_about_docstrings(tmp_path: Path) -> None:
    try:
        from_package(MODEL)
    except CheckpointError as error:
        pytest.skip(str(error))
    out = tmp_path / "docstrings"
    outcome = EXPERIMENTS["docstrings"](TaskConfig(out, quick=True))
    assert read_outcome(out / "outcome.json") == outcome
    assert [r.method for r in outcome.rows][:2] == ["zero-shot", "zero-shot, calibrated"]


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["compare", "--template", "{a}{mask}"], "takes no --template"),
        (["compare", "--tuned", "prefix.safetensors"], "or --tuned"),
        (["nothing"], "there is no --template"),
        (["nothing", "--template", "{a}"], "0 places"),
        (["nothing", "--template", "{a}{mask}", "--slot", "a"], "no NAME=text"),
        (["nothing", "--template", "{a}{mask}", "--slot", "a=1", "--slot", "a=2"], "a name again"),
        (["nothing", "--template", "{a}{mask}", "--label", "up=x"], "at least two labels"),
        (["nothing", "--template", "{a}{mask}", "--slot", "a=1"], "not a run folder"),
    ],
)
def test_bad_prompts_are_refused_with_what_to_do(words: list[str], part: str) -> None:
    result = command(*words)
    assert isinstance(result.exception, (DataError, CheckpointError)), result.output
    assert part in str(result.exception)
