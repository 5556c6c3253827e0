"""Dates and numbers of many languages: one meaning each, parts apart, baselines known by hand."""

from __future__ import annotations

import datetime
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.data import renderings
from tinygrad_tx.data.renderings import (
    FORMATS,
    HELD_OUT_LANGUAGES,
    HELD_OUT_PAIRS,
    LANGUAGES,
    Rendering,
    is_held_out_date,
)
from tinygrad_tx.data.units import PAD
from tinygrad_tx.errors import DataError
from tinygrad_tx.tasks import TaskConfig, translation
from tinygrad_tx.tasks.date_baselines import MonthWords, NearestText, copied
from tinygrad_tx.tasks.sequences import START, STOP, pairs, write, write_with_beams


def rendering(text: str, iso: str) -> Rendering:
    return Rendering(text, iso, "en", "long")


def test_copied_digits_are_those_of_the_text_in_order() -> None:
    assert copied("1998/3/7") == "1998-03-07"
    assert copied("7.3.1998") == "07-03-1998"  # wrong, as copying in order is
    assert copied("1,234,567.89") == "123456789"
    assert copied("7 March 1998") == "71998"


def test_the_nearest_text_shares_most_trigrams() -> None:
    train = [rendering("7 March 1998", "a"), rendering("9 June 2004", "b")]
    assert NearestText(train).answer(["8 March 1990", "19 June 2005"]) == ["a", "b"]


def test_the_rule_with_month_words_reads_words_it_knows_and_orders_of_numbers() -> None:
    rule = MonthWords(
        [rendering("7 March 1998", "1998-03-07"), rendering("Monday 9 June 2004", "2004-06-09"),
         rendering("Monday 9 March 2004", "2004-03-09")]
    )  # fmt: skip
    assert rule.answer("Monday 12 June 2031") == "2031-06-12"
    unsure = MonthWords([rendering("on 7 March 1998", "1998-03-07"),
                         rendering("on 9 June 2004", "2004-06-09")])  # fmt: skip
    assert unsure.answer("on 12 June 2031") == "2031-06-12"
    assert rule.answer("2031. March 4.") == "2031-03-04"
    assert rule.answer("4.12.2031") == "2031-12-04"
    assert rule.answer("2031/12/4") == "2031-12-04"
    assert rule.answer("1,234.50") == "123450"


def test_about_a_tenth_of_all_dates_is_held_out() -> None:
    first = datetime.date(1900, 1, 1)
    share = np.mean([is_held_out_date(str(first + datetime.timedelta(i))) for i in range(20_000)])
    assert share == pytest.approx(0.1, abs=0.01)


def test_without_babel_the_error_tells_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    renderings._babel.cache_clear()
    monkeypatch.setitem(sys.modules, "babel.dates", None)
    with pytest.raises(DataError, match="pip install"):
        translation.run(TaskConfig(tmp_path / "run", quick=True))


def test_teacher_forcing_asks_at_each_place_for_what_stands_one_later() -> None:
    source, given, asked, seen = next(pairs([[7, 8], [9]], [[5], [6, 7]], (4, 3), 2, 0).in_order())
    assert source.tolist() == [[7, 8, PAD, PAD], [9, PAD, PAD, PAD]]
    assert given.tolist() == [[START, 5, PAD], [START, 6, 7]]
    assert asked.tolist() == [[5, STOP, -100], [6, 7, STOP]]
    np.testing.assert_array_equal(seen, source != PAD)


def test_what_is_written_is_the_likeliest_token_after_all_before_it() -> None:
    config = tx.models.EncoderDecoderConfig(12, 16, 1, 1, 2, 16, dropout=0.3)
    model = tx.models.EncoderDecoder(config, 3)
    for _, p in model.named_parameters():
        p.assign_(p.numpy() * 6)  # so that sources matter
    sources = [[5, 6, 7], [8, 9], [10, 11, 5, 6, 7], [6]]
    found = write(model, sources, 6, batch=3)
    for source, written in zip(sources, found, strict=True):
        text = [START]
        for _ in range(6):
            token = int(model(np.array([source]), np.array([text])).numpy()[0, -1].argmax())
            if token == STOP:
                break
            text.append(token)
        assert written == text[1:]
    beams = write_with_beams(model, sources, 4, 3)
    assert len(beams) == 4
    assert all(len(b) <= 4 and STOP not in b for b in beams)


@pytest.mark.parity
def test_parts_of_the_task_are_apart_and_every_text_has_one_meaning() -> None:
    pytest.importorskip("babel")
    plan = translation.Plan(dates=4000, numbers=800, asked=80)
    parts = translation.load(plan, 0)
    learnt = {r.iso for r in parts.train}
    assert {r.language for r in parts.train} == set(LANGUAGES)
    assert not {(r.language, r.form) for r in parts.train} & HELD_OUT_PAIRS
    meanings: dict[str, str] = {}
    for r in itertools.chain(parts.train, *parts.held_out.values()):
        assert meanings.setdefault(r.text, r.iso) == r.iso
    for name, some in parts.held_out.items():
        assert len(some) == pytest.approx(plan.asked, abs=5)
        assert not learnt & {r.iso for r in some}
        pairs_of = {(r.language, r.form) for r in some}
        if name == translation.PAIRS:
            assert pairs_of <= HELD_OUT_PAIRS
        elif name.startswith("language"):
            assert {language for language, _ in pairs_of} == {name.split()[1]}
            assert name.split()[1] in HELD_OUT_LANGUAGES
        else:
            assert not pairs_of & HELD_OUT_PAIRS
    for r in parts.train:
        assert parts.decode(parts.units.encode(r.iso)) == r.iso
    again = translation.load(plan, 0)
    assert (again.train, again.held_out) == (parts.train, parts.held_out)


@pytest.mark.parity
def test_texts_are_those_of_babel_and_hold_the_day_and_the_year() -> None:
    dates = pytest.importorskip("babel.dates")
    rng = np.random.default_rng(1)
    for r in renderings.rendered_dates(200, [("de", "long"), ("ja", "full")], False, rng):
        day = datetime.date.fromisoformat(r.iso)
        assert dates.format_date(day, r.form, r.language) == r.text
        assert str(day.year) in r.text
    for r in renderings.rendered_numbers(200, ("de", "en", "hi"), True, rng):
        point, _, cents = r.iso.partition(".")
        assert "".join(c for c in r.text if c.isdigit()) == point + cents
    assert all(form in FORMATS for _, form in HELD_OUT_PAIRS)
