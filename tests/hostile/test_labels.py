"""Words of others in pictures and pages: they come back as the words they were, and as no more."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from tinygrad_tx.plots import picture_bytes
from tinygrad_tx.reasoning.explain.pictures import coloured_words, heat_map
from tinygrad_tx.reasoning.report.page import page_of as report_of
from tinygrad_tx.reasoning.report.parts import Coloured, Grid, Maps, Prose, Section
from tinygrad_tx.reasoning.report.words import visible
from tinygrad_tx.table import Table
from tinygrad_tx.testing.pages import as_html
from tinygrad_tx.testing.report import Report
from tinygrad_tx.viz.dot import dot_of
from tinygrad_tx.viz.mermaid import mermaid_of
from tinygrad_tx.viz.page import page_of
from tinygrad_tx.viz.picture import Arrow, Box, Picture, readable

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"'><svg onload=alert(1)>",
    "<!--",
    "]]>",
    "&lt;b&gt;",
    "${title}$style",
    '"]; evil [label="x',
    "a\\",
    '\\"',
    "\\N\\G\\l\\n",
    "<b>bold</b>",
    "<<TABLE>>",
    'end"];\nclick n0 href "javascript:alert(1)"',
    "%%{init: {}}%%",
    "a|b{c}(d)[e]`f`#quot;",
    "$\\frac{$",
    "\0\x1b[2J\r\n\t",
    "\ud800",
    "\N{RIGHT-TO-LEFT OVERRIDE}cba",
    "\u2028",
    "-->",
)
LABELS = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(max_size=12),
    st.lists(st.sampled_from(HOSTILE), min_size=2, max_size=3).map("".join),
)
MANY = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


class Seen(HTMLParser):
    """Elements with the names of their attributes, and texts."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: Counter[tuple[str, ...]] = Counter()
        self.texts: list[str] = []
        self.values: list[str] = []
        self.scripts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag, *sorted(name for name, _ in attrs)] += 1
        self.values += [value or "" for _, value in attrs]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.cdata_elem == "script":  # what stands in a script
            self.scripts.append(data)


def picture(labels: Sequence[str]) -> Picture:
    """Each label as a title, a line, a fact, a frame, an arrow and a note."""
    a, b, c = (*labels, "x", "x", "x")[:3]
    boxes = {
        "a": Box("a", a, "product", (a,), (b,), ((b, c), (c, a))),
        "b": Box("b", b, "sign", (), (c,)),
        f"key {c}": Box(f"key {c}", c, "norm"),
    }
    arrows = [Arrow("a", "b", a), Arrow("b", f"key {c}", b, shape=c)]
    return Picture(a, boxes, arrows, {(a,): b}, note=c)


THREE = st.lists(LABELS, min_size=3, max_size=3)
PLAIN = ["x", "y", "z"]


def report_page(labels: Sequence[str]) -> str:
    a, b, c = labels
    parts = (
        Prose(a),
        Coloured([a, b, c], np.array([1.0, -1.0, 0.0]), a, marked=0),
        Grid([a, b], [b, c], np.eye(2), c, texts=[[a, b], [c, a]]),
        Maps([a], [b, c], [c, a], np.ones((1, 2, 2)), b),
        Table(a, (b, c), ((a, b),), (c,)),
    )
    return report_of(a, [Section("key", b, c, parts)])


@given(THREE)
@MANY
def test_no_label_makes_an_element_or_an_attribute_of_a_report(labels: list[str]) -> None:
    # Surrogates have no place in a file: `visible` gives a sign for them, titles are the caller's.
    labels = [label.encode(errors="replace").decode() for label in labels]
    page, plain = Seen(report_page(labels)), Seen(report_page(PLAIN))
    assert page.elements == plain.elements
    for label in labels:
        assert any(visible(label) in text for text in page.texts)
    data = [s for s in page.scripts if s.startswith("{")]
    assert json.loads(data[0])["names"] == [labels[0]]


@given(THREE)
@MANY
def test_no_label_makes_an_element_of_a_page(labels: list[str]) -> None:
    svg = '<svg><g id="n" class="node"><title>a</title></g></svg>'
    pages = [Seen(page_of([(picture(given), svg)])) for given in (labels, PLAIN)]
    assert pages[0].elements == pages[1].elements
    (data,) = [s for s in pages[0].scripts if s.startswith("{")]
    # What the page shows of a box is the title that it was given.
    said = [fact[0] for fact in json.loads(data)["facts"]]
    assert {readable(t.partition("  × ")[0]) for t in labels} <= {
        readable(t.partition(" × ")[0]) for t in said
    }


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz")
@given(THREE)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_dot_has_the_boxes_and_arrows_of_the_picture_alone(labels: list[str]) -> None:
    """Graphviz itself reads the text."""
    done = subprocess.run(
        ["dot", "-Tsvg"], input=dot_of(picture(labels)).encode(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    root = ET.fromstring(done.stdout)  # a document: nothing in it ends an element
    space = "{http://www.w3.org/2000/svg}"
    kinds = Counter(g.get("class") for g in root.iter(f"{space}g") if g.get("class"))
    assert (kinds["node"], kinds["edge"]) == (3, 2)
    assert kinds["cluster"] == 1
    allowed = {"svg", "g", "title", "polygon", "path", "text", "a", "ellipse", "polyline"}
    assert {e.tag.removeprefix(space) for e in root.iter()} <= allowed
    for element in root.iter():
        assert not any(name.startswith("on") for name in element.attrib)
        assert "javascript" not in (element.get("{http://www.w3.org/1999/xlink}href") or "")


@given(THREE)
@MANY
def test_mermaid_has_a_line_for_each_box_and_arrow_alone(labels: list[str]) -> None:
    lines, plain = (mermaid_of(picture(given)).split("\n") for given in (labels, PLAIN))
    assert len(lines) == len(plain)
    for line, other in zip(lines, plain, strict=True):
        assert re.sub(r'"[^"]*"', "", line).count("-->") == other.count("-->")
        assert line.count('"') in (other.count('"'), 0)  # an arrow may have no label
        assert "<script" not in line
        assert not line.lstrip().startswith("click")


@given(LABELS)
@MANY
def test_gradient_reports_hold_names_as_text(label: str) -> None:
    page, plain = Seen(as_html([Report(label)])), Seen(as_html([Report("x")]))
    assert page.elements == plain.elements
    assert "".join(page.texts).count(label.replace("\r\n", "\n").replace("\r", "\n")) or (
        "\0" in label
    )


@pytest.mark.parametrize("label", ["$\\frac{$", "$x^$ $", "a$b$c", "<b>&", "\\$"])
def test_words_in_plots_are_no_formulas(label: str) -> None:
    svg = picture_bytes(heat_map(np.eye(2), [label, "b"], ["c", label], title=label)).decode()
    assert label[:10] in "".join(ET.fromstring(svg).itertext())
    words = picture_bytes(coloured_words([label, "b"], np.array([1.0, -1.0]), label)).decode()
    assert label in "".join(ET.fromstring(words).itertext())
