"""Dates and numbers of many languages into ISO form: an encoder-decoder on characters.

Nothing tells the model which language a text is in. Held out are dates, pairs of a language and a
form, and whole languages.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_tx.data import CharacterUnits
from tinygrad_tx.data.renderings import (
    FORMATS,
    HELD_OUT_LANGUAGES,
    HELD_OUT_PAIRS,
    LANGUAGES,
    Rendering,
    rendered_dates,
    rendered_numbers,
)
from tinygrad_tx.data.units import FIRST
from tinygrad_tx.models import EncoderDecoder, EncoderDecoderConfig
from tinygrad_tx.tasks.attended import patterns
from tinygrad_tx.tasks.date_baselines import MonthWords, NearestText, copied
from tinygrad_tx.tasks.picture import bars, panels, write_picture
from tinygrad_tx.tasks.sequences import START, pairs, write, write_with_beams
from tinygrad_tx.tasks.stage import open_task, train_stage
from tinygrad_tx.tasks.table import write_outcome
from tinygrad_tx.tasks.task import Outcome, Row, TaskConfig, bootstrap
from tinygrad_tx.tensor import no_grad
from tinygrad_tx.train import RunFolder, TrainConfig

__all__ = ["Parts", "load", "run"]

DATES, NUMBERS, PAIRS = "held-out dates", "held-out numbers", "held-out pairs"
GREEDY = "encoder-decoder"
COPY, NEAREST, RULE = "digits in order", "nearest training text", "rule with month words"
Said = Callable[[Sequence[Rendering]], list[str]]


@dataclass(frozen=True)
class Plan:
    """times: characters of source and target. asked: texts of each held-out part; beams: of how
    many of them a beam search is made."""

    dates: int = 60_000
    numbers: int = 12_000
    asked: int = 500
    beamed: int = 60
    neighbours: int = 10_000
    steps: int = 3000
    batch: int = 32
    layers: int = 2
    width: int = 96
    heads: int = 4
    learning_rate: float = 1.5e-3
    times: tuple[int, int] = (48, 13)


FULL = Plan()
QUICK = Plan(300, 60, 12, 3, 100, 4, 8, 1, 32, 2)


@dataclass(frozen=True)
class Parts:
    """What is learnt from, and the held-out parts by name."""

    train: list[Rendering]
    held_out: dict[str, list[Rendering]]
    units: CharacterUnits = field(repr=False)

    def encode(self, some: Sequence[Rendering], time: int) -> list[list[int]]:
        return [self.units.encode(r.text)[:time] for r in some]

    def decode(self, tokens: Sequence[int]) -> str:
        """The characters; special tokens become "?"."""
        return "".join(self.units.alphabet[t - FIRST] if t >= FIRST else "?" for t in tokens)


def load(plan: Plan, seed: int) -> Parts:
    """Rendered anew for each seed; what is held out never depends on it. Errors: DataError."""
    rng = np.random.default_rng(seed)
    known = sorted({(name, form) for name in LANGUAGES for form in FORMATS} - HELD_OUT_PAIRS)
    train = rendered_dates(plan.dates, known, False, rng)
    train += rendered_numbers(plan.numbers, LANGUAGES, False, rng)
    held = {
        DATES: rendered_dates(plan.asked, known, True, rng),
        NUMBERS: rendered_numbers(plan.asked, LANGUAGES, True, rng),
        PAIRS: rendered_dates(plan.asked, sorted(HELD_OUT_PAIRS), True, rng),
    }
    for language in HELD_OUT_LANGUAGES:
        every = [(language, form) for form in FORMATS]
        held[f"language {language}"] = rendered_dates(plan.asked, every, True, rng)
    units = CharacterUnits.train((t for r in train for t in (r.text, r.iso)), 2000)
    return Parts([train[i] for i in rng.permutation(len(train))], held, units)


def run(config: TaskConfig) -> Outcome:
    """The task. Errors: DataError without babel, those of `fit`."""
    began = time.perf_counter()
    folder, plan, say = open_task(config), QUICK if config.quick else FULL, config.watch.say
    parts = load(plan, config.seed)
    folder.write(folder.tokenizer, parts.units.to_json())
    say(f"{len(parts.train):,} texts to learn from, {parts.units.vocab_size} characters")
    model = EncoderDecoder(
        EncoderDecoderConfig(
            parts.units.vocab_size, plan.times[0], plan.layers, plan.layers, plan.heads, plan.width,
            dropout=0.0,
        ),
        config.seed,
    )  # fmt: skip
    seconds = _trained(config, plan, parts, model)
    rows = _rows(plan, parts, model, seconds)
    for row in rows:
        say(f"{row.method}, {dict(row.more)['part']}: {row.score.text()}")
    _draw(folder, rows, parts, model)
    outcome = _outcome(config, rows, parts, plan, began)
    write_outcome(folder, outcome)
    return outcome


def _trained(config: TaskConfig, plan: Plan, parts: Parts, model: EncoderDecoder) -> float:
    """Seconds of the training."""

    def batches(some: Sequence[Rendering]) -> Any:
        targets = [parts.units.encode(r.iso) for r in some]
        sources = parts.encode(some, plan.times[0])
        return pairs(sources, targets, plan.times, plan.batch, config.seed)

    every = max(1, plan.steps // 6)
    training = TrainConfig(
        plan.steps, plan.batch, plan.learning_rate, plan.steps // 10, 0.01, 1.0, every, 8,
        config.seed,
    )  # fmt: skip
    held_out = [*parts.held_out[DATES], *parts.held_out[NUMBERS]]
    done = train_stage(config, "training", model, batches(parts.train), batches(held_out), training)
    return done.seconds


def _rows(plan: Plan, parts: Parts, model: EncoderDecoder, seconds: float) -> list[Row]:
    """Every method on every part."""

    def greedy(some: Sequence[Rendering]) -> list[str]:
        sources = parts.encode(some, plan.times[0])
        return [parts.decode(t) for t in write(model, sources, plan.times[1])]

    def beams(some: Sequence[Rendering]) -> list[str]:
        sources = parts.encode(some, plan.times[0])
        return [parts.decode(t) for t in write_with_beams(model, sources, plan.times[1], 4)]

    nearest, rule = NearestText(parts.train[: plan.neighbours]), MonthWords(parts.train)
    methods: dict[str, Said] = {
        GREEDY: greedy,
        COPY: lambda some: [copied(r.text) for r in some],
        NEAREST: lambda some: nearest.answer([r.text for r in some]),
        RULE: lambda some: [rule.answer(r.text) for r in some],
    }
    trained = model.num_parameters()
    rows = [
        _scored(method, part, some, said(some), *((trained, seconds) if method == GREEDY else ()))
        for part, some in parts.held_out.items()
        for method, said in methods.items()
    ]
    few = parts.held_out[PAIRS][: plan.beamed]
    for method, said in ((f"{GREEDY}, the same {len(few)}", greedy), (f"{GREEDY}, 4 beams", beams)):
        rows.append(_scored(method, PAIRS, few, said(few), trained, seconds))
    return rows


def _scored(
    method: str,
    part: str,
    some: Sequence[Rendering],
    said: list[str],
    trained: int = 0,
    seconds: float = 0.0,
) -> Row:
    right = np.array([a == r.iso for a, r in zip(said, some, strict=True)])
    months = [a[5:7] == r.iso[5:7] for a, r in zip(said, some, strict=True)]
    month = "" if part == NUMBERS else f"{np.mean(months):.0%}".replace("%", " %")
    more = (("part", part), ("month right", month))
    return Row(method, bootstrap(right), trained, seconds, more)


def _draw(folder: RunFolder, rows: list[Row], parts: Parts, model: EncoderDecoder) -> None:
    """Bars for each part, and the weights of the last cross-attention for one date."""
    picture, (scores, looks) = panels(2)
    some = [r for r in rows if r.method in (GREEDY, NEAREST, COPY)]
    names = [f"{dict(r.more)['part']}: {r.method}" for r in some]
    bars(scores, names, [r.score for r in some])
    scores.tick_params(axis="y", labelsize=6)
    scores.set(xlabel="exact match")
    shown = next((r for r in parts.held_out[DATES] if r.language in ("es", "de", "fr")), None)
    shown = shown or parts.held_out[DATES][0]
    written, weights = _looked(model, parts, shown)
    letters = [c for c in shown.text if not c.isspace()][: weights.shape[1]]
    looks.imshow(weights, cmap="Blues", aspect="auto")
    looks.grid(visible=False)
    looks.set_xticks(range(len(letters)), letters, fontsize=7)
    looks.set_yticks(range(len(written)), list(written), fontsize=7)
    looks.set(xlabel="read", ylabel="written", title="last cross-attention, mean of heads")
    write_picture(folder, picture)


def _looked(
    model: EncoderDecoder, parts: Parts, shown: Rendering
) -> tuple[str, np.ndarray[Any, Any]]:
    """What the model writes for a text, and where it looks for each character: (written, read)."""
    source = parts.encode([shown], model.config.context)
    tokens = write(model, source, FULL.times[1])[0] or [FIRST]
    with no_grad():
        logits = model(np.array(source), np.array([[START, *tokens[:-1]]]))
    weights = patterns(logits, "cross_attention")[-1]
    return parts.decode(tokens), weights[0].mean(0)


def _outcome(
    config: TaskConfig, rows: list[Row], parts: Parts, plan: Plan, began: float
) -> Outcome:
    by = {(r.method, dict(r.more)["part"]): r.score for r in rows}
    best = max((COPY, NEAREST), key=lambda m: by[m, DATES].value)
    languages = "; ".join(
        f"{part.split()[1]} {by[GREEDY, part].text()}"
        for part in parts.held_out
        if part.startswith("language")
    )
    return Outcome(
        name="translation",
        what="Dates and numbers of many languages into ISO form. An encoder-decoder reads "
        "characters and is not told the language.",
        data=f"Rendered by babel: {len(parts.train):,} texts in {len(LANGUAGES)} languages to "
        f"learn from, dates of 1900 to 2099 and numbers; about {plan.asked} of each held-out part, "
        "whose dates and numbers no training text has.",
        command="tinygrad-tx finetune translation --out runs/translation",
        metric="exact match on held-out dates",
        baseline_name=best,
        baseline=by[best, DATES],
        score=by[GREEDY, DATES],
        trained=max(r.trained for r in rows),
        seconds=time.perf_counter() - began,
        rows=tuple(rows),
        notes=(
            f"Held-out languages, dates: {languages}. Kin of da, pt and sk are learnt from; of ko "
            "only the order of year, month and day is.",
            f"Held-out pairs of a language and a form: {by[GREEDY, PAIRS].text()}.",
            "The nearest text's answer cannot be right on held-out dates, only its month can.",
            f"A rule by hand, with month words counted in the same texts: {by[RULE, DATES].text()} "
            f"on dates, {by[RULE, PAIRS].text()} on held-out pairs.",
        ),
        quick=config.quick,
    )
