"""The site: every public name is on one page of its reference, and what is built leads somewhere.

What is checked of the names needs nothing but the sources; the site itself is built with the extra
`docs`, and looked at in a browser where there is one.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import os
import re
import runpy
import subprocess
import sys
import types
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

import tinygrad_tx as tx

ROOT = Path(__file__).parent.parent
SITE = ROOT / "docs" / "site"
REFERENCE = runpy.run_path(str(SITE / "reference.py"), run_name="reference")
PAGES = REFERENCE["PAGES"]
NEEDS = {"tinygrad_tx.estimators": "sklearn"}
FIELD = re.compile(r"[a-z_]+(?:\(\w*\))?(?:(?:,| and) [a-z_]+)*: ")
"""How a sentence begins that tells of a field, not of what has it."""
WHOLE = sorted({g.module for page in PAGES for g in page.groups if not g.names})
"""Modules all of whose `__all__` is on the reference."""


def loaded(module: str) -> types.ModuleType:
    if module in NEEDS:
        pytest.importorskip(NEEDS[module])
    return importlib.import_module(module)


def found_at(path: str) -> Any:
    """What stands at an entry's path: a module, or a name in one."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def entries_of(module: str) -> list[Any]:
    groups = [g for page in PAGES for g in page.groups if g.module == module]
    return [e for group in groups for e in REFERENCE["entries"](group)]


# The names


def test_the_parts_that_users_import_have_a_page() -> None:
    """What docs/architecture.md has above the engine, and what `tx` hands on as modules."""
    handed_on = {n for n, v in vars(tx).items() if isinstance(v, types.ModuleType)} - {"cli"}
    with_names = {
        n for n in handed_on | {"testing", "sizing", "distributed", "bench", "estimators"}
        if (ROOT / "tinygrad_tx" / n / "__init__.py").exists()
        and "__all__" in (ROOT / "tinygrad_tx" / n / "__init__.py").read_text(encoding="utf-8")
    } - {"autodiff"}  # fmt: skip
    assert {f"tinygrad_tx.{n}" for n in with_names} <= set(WHOLE)


@pytest.mark.parametrize("module", WHOLE)
def test_every_public_name_is_there_under_the_place_where_it_is_defined(module: str) -> None:
    public = loaded(module)
    entries = entries_of(module)
    names = {n for n in public.__all__ if not n.startswith("_")}
    assert Counter(e.name for e in entries) == Counter(names)
    wrong = [e.path for e in entries if found_at(e.path) is not getattr(public, e.name)]
    assert wrong == []


def test_every_public_name_of_tx_is_there() -> None:
    """What tinygrad_tx/__init__.py hands on as itself, and what the files of tensor/ list."""
    shown = {e.shown for page in PAGES for g in page.groups for e in REFERENCE["entries"](g)}
    tree = ast.parse((ROOT / "tinygrad_tx" / "__init__.py").read_text(encoding="utf-8"))
    imports = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    names = {a.name for n in imports for a in n.names if a.asname == a.name}
    names |= {n for n in vars(importlib.import_module("tinygrad_tx.tensor")) if n in vars(tx)}
    wanted = {
        n for n in names
        if not n.startswith("_") and not isinstance(getattr(tx, n), types.ModuleType)
    }  # fmt: skip
    assert len(wanted) > 150
    assert {n for n in wanted if f"tx.{n}" not in shown} == set()


def test_every_name_is_on_exactly_one_page() -> None:
    text = "\n".join(REFERENCE["markdown"](page) for page in PAGES)
    written = Counter(re.findall(r"^::: (\S+)$", text, re.M))
    listed = {e.path for page in PAGES for g in page.groups for e in REFERENCE["entries"](g)}
    assert written == Counter(listed)


@pytest.mark.parametrize("module", WHOLE)
def test_every_public_name_says_what_it_is(module: str) -> None:
    """Classes and functions in their docstring, constants in the text below them."""
    loaded(module)
    silent = []
    for entry in entries_of(module):
        thing = found_at(entry.path)
        own = thing.__doc__ if inspect.isfunction(thing) else entry.summary
        if inspect.isclass(thing) and thing.__module__.startswith("tinygrad_tx"):
            own = thing.__dict__.get("__doc__")
            own = own and not own.startswith(f"{thing.__name__}(")  # as dataclasses make it
        if not (own and entry.summary) or FIELD.match(entry.summary):
            silent.append(entry.path)
    assert silent == []


# What Python's Markdown reads otherwise than GitHub's

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def prose(page: Path) -> str:
    """Without code and comments."""
    text = page.read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```$|<!--.*?-->|^    .*?$|`[^`]*`|\\<", "", text, flags=re.S | re.M)


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda p: p.name)
def test_no_formula_is_taken_for_a_tag(page: Path) -> None:
    tags = re.findall(r"</?([a-z][^ >]*)[^>]*>", prose(page))
    assert set(tags) <= {"img"}, "set it as code"


def test_lists_and_tables_are_rewritten_for_it() -> None:
    rewritten = runpy.run_path(str(SITE / "dialect.py"))["rewritten"]
    said = "1. First:\n\n       code\n   goes on\n\nText\n\n- a\n  b\n| x |\n## Next\n\n    code"
    asked = (
        "1. First:\n\n        code\n    goes on\n\nText\n\n- a\n    b\n| x |\n\n## Next\n\n    code"
    )
    assert rewritten(said) == asked
    assert rewritten("```\n- a\n  b\n```") == "```\n- a\n  b\n```"


# What our pages are called, and what is said of files


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names of hooks.py, which imports the files beside it; they need MkDocs."""
    pytest.importorskip("mkdocs")
    monkeypatch.syspath_prepend(str(SITE))
    return runpy.run_path(str(SITE / "hooks.py"))


def test_a_link_that_is_called_by_its_file_gets_the_title_of_the_page(
    hooks: dict[str, Any],
) -> None:
    page = types.SimpleNamespace(file=types.SimpleNamespace(src_uri="guides/understanding.md"))
    said = "[runs.md](../runs.md#long-runs), [runs](../runs.md), [README.md](../../README.md)"
    asked = "[Many runs](../runs.md#long-runs), [runs](../runs.md), [README.md](../index.md)"
    assert hooks["on_page_markdown"](said, page) == asked


def test_an_option_is_never_torn(hooks: dict[str, Any]) -> None:
    page = types.SimpleNamespace(file=types.SimpleNamespace(dest_uri="runs.html"))
    said = "<p><code>train --held-out 0.1 a</code></p><pre><span></span><code>--out</code></pre>"
    found = hooks["on_page_content"](said, page)
    assert '<code>train <span class="whole">--held-out</span> 0.1 a</code>' in found
    assert "<code>--out</code></pre>" in found


def test_common_mistakes_stand_in_the_order_of_their_list(hooks: dict[str, Any]) -> None:
    sections = {k: v for part in hooks["on_config"]({})["nav"] for k, v in part.items()}
    found = sections["Mistakes"]
    assert found[:2] == ["mistakes/README.md", "mistakes/shapes-and-axes.md"]
    pages = (ROOT / "docs" / "mistakes").glob("*.md")
    assert sorted(found) == sorted(f"mistakes/{p.name}" for p in pages)
    assert found[-1] == "mistakes/on-the-command-line.md"


# The site


class Page(HTMLParser):
    """What a page links to, what it loads, the places in it, and its text outside of code."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.places: set[str] = set()
        self.text: list[str] = []
        self._skips = 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {k: v or "" for k, v in attrs}
        self.places |= {found[k] for k in ("id", "name") if k in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag == "link" and found.get("rel") not in ("canonical", "next", "prev"):
            self.loads.append(found["href"])
        elif "src" in found:
            self.loads.append(found["src"])
        self._skips += tag in ("pre", "code", "script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._skips -= tag in ("pre", "code", "script", "style")

    def handle_data(self, data: str) -> None:
        if not self._skips:
            self.text.append(data)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for library in ("mkdocs", "material", "mkdocstrings"):
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not here: pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    words = ("build", "--strict", "-f", SITE / "mkdocs.yml", "-d", folder)
    # Material's remark that MkDocs 2 is coming is no warning about our pages.
    quiet = {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", *map(str, words)],
        cwd=ROOT,
        env=os.environ | quiet,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "WARNING" not in done.stderr
    return folder


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[Path, Page]:
    """All but the page for a wrong address, whose links begin at the root of a server."""
    return {p: Page(p) for p in sorted(site.rglob("*.html")) if p.name != "404.html"}


@pytest.mark.slow
def test_links_and_anchors_lead_somewhere(pages: dict[Path, Page]) -> None:
    wrong = []
    for path, page in pages.items():
        for link in page.links:
            to = urlsplit(link)
            if to.scheme:
                continue
            target = (path.parent / unquote(to.path)).resolve() if to.path else path
            anchor = unquote(to.fragment)
            is_missing = anchor and target in pages and anchor not in pages[target].places
            if is_missing or not target.exists():
                wrong.append((path.name, link))
    assert wrong == []


@pytest.mark.slow
def test_nothing_is_loaded_from_elsewhere_and_all_that_is_loaded_is_there(
    site: Path, pages: dict[Path, Page]
) -> None:
    wrong = []
    for path, page in pages.items():
        for source in page.loads:
            to = urlsplit(source)
            is_there = (path.parent / unquote(to.path)).resolve().is_relative_to(site)
            if to.scheme == "data":
                continue
            if to.scheme or to.netloc or not is_there or not (path.parent / to.path).exists():
                wrong.append((path.name, source))
    assert wrong == []
    styles = "".join(p.read_text(encoding="utf-8") for p in site.rglob("*.css"))
    assert re.findall(r"url\(\s*[\"']?(?:https?:)?//[^)]*\)|@import[^;]*//[^;]*;", styles) == []


@pytest.mark.slow
def test_every_name_has_its_place(site: Path, pages: dict[Path, Page]) -> None:
    for path, (page, _) in REFERENCE["homes"]().items():
        assert path in pages[site / "reference" / f"{page.name}.html"].places


@pytest.mark.slow
def test_marks_of_our_sources_do_not_show(pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        if "source" not in path.parts:
            text = "".join(page.text)
            assert "```" not in text, path.name
            assert "make_guides.py writes what" not in text, path.name
            assert not re.search(r"^:::", text, re.M), path.name


@pytest.mark.slow
def test_every_page_is_in_the_navigation(site: Path, pages: dict[Path, Page]) -> None:
    first = site / "index.html"
    reached = {first}
    for link in pages[first].links:
        reached.add((first.parent / unquote(urlsplit(link).path)).resolve())
    for path in list(reached & pages.keys()):
        links = pages[path].links
        reached |= {(path.parent / unquote(urlsplit(to).path)).resolve() for to in links}
    assert {p for p in pages if "source" not in p.relative_to(site).parts} <= reached


@pytest.mark.slow
def test_every_command_and_option_is_on_its_page(site: Path) -> None:
    from tinygrad_tx.cli.main import app

    text = (site / "reference" / "command-line.html").read_text(encoding="utf-8")
    for command in app.registered_commands:
        assert command.callback is not None
        name = command.name or command.callback.__name__
        assert f"tinygrad-tx {name}" in text
        for option in inspect.signature(command.callback, eval_str=True).parameters.values():
            for declared in option.annotation.__metadata__[0].param_decls or ():
                assert declared.split("/")[0] in text, (name, declared)


@pytest.mark.slow
def test_code_of_our_line_length_needs_no_scrolling(site: Path, browser: Any) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto((site / "guides" / "transformer-from-tensors.html").as_uri())
    wide = page.evaluate("""() => {
        const code = document.querySelector("pre > code");
        code.textContent = "x".repeat(98);
        return code.scrollWidth - code.clientWidth;
    }""")
    page.close()
    assert wide <= 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "found"),
    [("gradcheck", "testing.gradcheck"), ("Rotary", "tx.nn.Rotary"), ("归因", "归因")],
)
def test_search_works_from_a_file(
    site: Path, browser: Any, asked: str, found: str, request: pytest.FixtureRequest
) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    request.addfinalizer(page.close)
    said: list[str] = []
    far: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda r: far.append(r.url) if r.url.startswith("http") else None)
    page.goto((site / "data.html").as_uri())
    page.locator("input.md-search__input").press_sequentially(asked)
    page.locator(".md-search-result__item", has_text=found).first.wait_for(timeout=30_000)
    assert said == []
    assert far == []


@pytest.mark.slow
def test_no_page_is_wider_than_its_window(pages: dict[Path, Page], browser: Any) -> None:
    """Tables and code scroll by themselves, on a telephone too."""
    wide = []
    for width in (1280, 400):
        page = browser.new_page(viewport={"width": width, "height": 800})
        for path in pages:
            page.goto(path.as_uri(), wait_until="domcontentloaded")
            if page.evaluate("document.documentElement.scrollWidth") > width:
                wide.append((path.name, width))
        page.close()
    assert wide == []
