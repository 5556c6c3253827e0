"""Reports: what the page shows is what the model computes, in a real browser, by mouse and keys."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx import reasoning
from tinygrad_tx.data import ByteTokenizer
from tinygrad_tx.errors import DataError, DrawError, ShapeError
from tinygrad_tx.reasoning.report.page import page_of
from tinygrad_tx.reasoning.report.parts import Coloured, Grid, Maps, Prose, Section
from tinygrad_tx.reasoning.report.words import visible

TEXT = "ab <注>\n"


def lively() -> Any:
    rng = np.random.default_rng(0)
    model = tx.models.GPT(tx.models.GPTConfig(256, 16, 2, 2, 8))
    for p in model.parameters():
        p.assign_(p.numpy() + rng.normal(0, 0.2, p.shape).astype(np.float32))
    return model.eval()


MODEL, SPELLER = lively(), ByteTokenizer()
REPORT = reasoning.report(MODEL, TEXT, SPELLER)
FIGURES = REPORT.json()
TOKENS = SPELLER.encode(TEXT)


def part(section: str, kind: str, index: int = 0) -> Any:
    return [p for p in FIGURES[section]["parts"] if p["kind"] == kind][index]


def log_softmax(x: Any) -> Any:
    x = np.asarray(x, np.float64)
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def test_surprise_and_expectations_are_log_probabilities_in_numpy() -> None:
    found = log_softmax(MODEL(TOKENS[None]).numpy()[0])
    scores = part("expectations", "Coloured")["scores"]
    assert scores[0] is None
    want = -found[np.arange(len(TOKENS) - 1), TOKENS[1:]]
    np.testing.assert_allclose(scores[1:], want, rtol=1e-6)
    best = part("expectations", "Table")["rows"][0]
    assert best["log-probability"] == pytest.approx(found[-1].max())
    assert best["token"] == SPELLER.decode([int(found[-1].argmax())])


def test_maps_are_the_patterns_of_every_head() -> None:
    maps = part("attention", "Maps")
    seen = reasoning.capture(MODEL, TOKENS[None], "*pattern").numpy()
    assert len(maps["names"]) == 4
    np.testing.assert_allclose(
        maps["values"][3], seen["blocks.1.attention.pattern"][0, 1], atol=1e-5
    )


def test_the_effect_of_a_part_is_that_of_taking_it_away() -> None:
    target = int(MODEL(TOKENS[None]).numpy()[0, -1].argmax())
    whole = log_softmax(MODEL(TOKENS[None]).numpy()[0, -1])[target]
    for number, path in enumerate(["blocks.0.attention.context", "blocks.1.feed_forward.output"]):
        without = reasoning.intervene(
            MODEL, TOKENS[None], {path: reasoning.zero() if number else reasoning.zero(heads=1)}
        )
        effect = whole - log_softmax(without.numpy()[0, -1])[target]
        shown = part("parts", "Grid", number)["values"]
        assert shown[number][0 if number else 1] == pytest.approx(effect, abs=1e-5)


def test_the_page_and_its_figures_are_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "why.html"
    made = reasoning.report(MODEL, TEXT, SPELLER, path, findings=[Finding()])
    assert path.read_text(encoding="utf-8") == made.html
    figures = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert figures["findings"]["parts"][0]["rows"] == [{"effect": "x", "value": 1.5}]


class Finding:
    def table(self) -> reasoning.Table:
        return reasoning.Table("An audit", ("effect", "value"), (("x", 1.5),))


def test_a_page_names_no_address_and_lets_only_its_own_script_run() -> None:
    page = REPORT.html
    assert set(re.findall(r"""https?://[^\s"'<>)]+""", page)) <= {"http://www.w3.org/2000/svg"}
    assert re.search(
        r"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src", page
    )
    assert not re.search(r"<[^>]* on\w+=", page)
    assert "<注>" not in page


@pytest.mark.parametrize(
    ("text", "options", "error", "words"),
    [
        ("", {}, DataError, "empty"),
        ("x" * 17, {}, ShapeError, "17 tokens, the context of the model is 16"),
        ("abc", {"instead": "abcd"}, ShapeError, "3 and 4 tokens"),
        ("abc", {"path": "why.pdf"}, DrawError, ".html"),
        ("abc", {"path": "nowhere/why.html"}, DrawError, "cannot be written"),
    ],
)
def test_what_cannot_be_reported_says_so(text: str, options: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        reasoning.report(MODEL, text, SPELLER, **options)


@pytest.mark.parametrize(
    "bad",
    [
        lambda: Coloured(["a"], np.zeros(2), ""),
        lambda: Grid(["a"], ["b"], np.zeros((2, 1)), ""),
        lambda: Maps(["a"], ["b"], ["c"], np.zeros((1, 2, 1)), ""),
    ],
)
def test_values_and_labels_that_do_not_belong_together_are_refused(bad: Any) -> None:
    with pytest.raises(ShapeError, match="values are"):
        bad()


@pytest.mark.parametrize(
    ("token", "seen"), [("\n", "⏎"), (" a", " a"), ("  ", "␣␣"), ("", "∅"), ("\x00", "␀")]
)
def test_every_token_can_be_seen(token: str, seen: str) -> None:
    assert visible(token) == seen


# --- in the browser

Open = Any
HOSTILE = [
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "注意",
    "\u202eabc",
]


def hostile_page(tmp_path: Path) -> Path:
    values = np.array([0.0, np.nan, -1.0, 2.0])
    parts = (
        Prose(HOSTILE[0]),
        Coloured(HOSTILE, values, HOSTILE[1]),
        Grid(HOSTILE, HOSTILE, np.outer(values, values), "grid", [HOSTILE] * 4, signed=True),
        Maps([*HOSTILE], HOSTILE, HOSTILE, np.full((4, 4, 4), 0.5), HOSTILE[0]),
    )
    path = tmp_path / "page.html"
    path.write_text(page_of(HOSTILE[0], [Section("all", HOSTILE[1], HOSTILE[0], parts)]))
    return path


@pytest.mark.slow
def test_names_enter_no_script(open_page: Open, tmp_path: Path) -> None:
    page = open_page(hostile_page(tmp_path))
    assert page.locator("img").count() == 0
    assert page.locator(".token").nth(1).inner_text() == HOSTILE[1]
    assert page.locator("#said").is_hidden()


def saved(tmp_path: Path, **options: Any) -> Path:
    path = tmp_path / "report.html"
    reasoning.report(MODEL, TEXT, SPELLER, path, **options)
    return path


@pytest.mark.slow
def test_the_attention_of_another_head_is_shown_and_read_by_keys(
    open_page: Open, tmp_path: Path
) -> None:
    page = open_page(saved(tmp_path))
    maps = page.locator(".maps")
    assert maps.locator("button").count() == 4
    maps.locator("button").nth(2).click()
    assert maps.locator("svg").get_attribute("aria-label") == "Map: layer 1, head 0"
    maps.focus()
    page.keyboard.press("PageDown")
    assert maps.locator("svg").get_attribute("aria-label") == "Map: layer 1, head 1"
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    seen = reasoning.capture(MODEL, TOKENS[None], "blocks.1.attention.pattern")
    value = float(seen["blocks.1.attention.pattern"].numpy()[0, 1, 2, 1])
    assert page.inner_text("#said").endswith(f"{value:.3f}")
    assert page.locator(".maps rect.here").count() == 1


@pytest.mark.slow
def test_a_box_of_the_diagram_leads_to_its_section(open_page: Open, tmp_path: Path) -> None:
    page = open_page(saved(tmp_path))
    box = page.locator('.drawing [data-key="box_blocks__0__attention"]')
    assert box.get_attribute("aria-label") == "Where attention goes"
    box.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#attention"


@pytest.mark.slow
def test_cells_and_tokens_are_read_by_keys_and_by_mouse(open_page: Open, tmp_path: Path) -> None:
    page = open_page(saved(tmp_path))
    grid = page.locator("#parts table.grid").first
    grid.focus()
    page.keyboard.press("ArrowDown")
    effect = part("parts", "Grid")["values"][1][0]
    assert page.inner_text("#said").startswith("layer 1, head 0:")
    assert f"{effect:.4g}" in page.inner_text("#said")
    page.locator("#expectations .token").nth(1).hover()
    assert page.inner_text("#said").startswith("b: ")
    page.locator("#expectations .token").nth(1).focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.textContent") == "␣"


@pytest.mark.slow
def test_the_report_speaks_chinese_and_fits_a_phone(open_page: Open, tmp_path: Path) -> None:
    page = open_page(saved(tmp_path, lang="zh"), viewport={"width": 390, "height": 800})
    assert page.locator("h2").all_inner_texts()[:2] == ["模型的预测", "模型结构"]
    assert page.evaluate("document.documentElement.lang") == "zh-Hans"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


# --- the sections that stand on other methods

INSTEAD = "ab <泣>\n"


def test_layers_end_with_what_the_model_says() -> None:
    grid = part("layers", "Grid")
    found = log_softmax(MODEL(TOKENS[None]).numpy()[0])
    assert grid["texts"][-1] == [SPELLER.decode([int(t)]) for t in found.argmax(-1)]
    np.testing.assert_allclose(grid["values"][-1], np.exp(found.max(-1)), rtol=1e-4)


def test_contributions_add_up_to_the_models_logit() -> None:
    rows = {row["part"]: row["adds"] for row in part("contributions", "Table")["rows"]}
    own = float(MODEL(TOKENS[None]).numpy()[0, -1].max())
    assert rows["the model's own logit"] == pytest.approx(own, rel=1e-5)
    assert rows["sum of all parts"] == pytest.approx(own, abs=1e-4)


def test_sources_say_their_gap() -> None:
    scores = part("sources", "Coloured")["scores"]
    assert f"sum to {sum(scores):.4g}" in part("sources", "Prose")["text"]


def test_a_circuit_is_looked_for_where_there_is_another_text() -> None:
    assert "circuit" not in FIGURES
    assert len(SPELLER.encode(INSTEAD)) == len(TOKENS)
    made = reasoning.report(MODEL, TEXT, SPELLER, instead=INSTEAD, lang="zh").json()["circuit"]
    kinds = [p["kind"] for p in made["parts"]]
    # Both texts may lead to one expectation: then that is said, and nothing is drawn.
    assert kinds in (["Prose"], ["Picture", "Table", "Table"])
