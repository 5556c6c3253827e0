"""What every test keeps to, and a real browser for pages: Debian's, offline, its profile empty."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

OURS = ("PYTHON", "TINYGRAD_TX_")


def variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(OURS)}


@pytest.fixture(autouse=True)
def environment_as_found() -> Iterator[None]:
    """What one test leaves in the environment decides what the programs of others import."""
    before = variables()
    yield
    assert variables() == before


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="needs the extra `browser`")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs Debian's chromium")
    with api.sync_playwright() as running:
        started = running.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens the page at a path; at the end nothing has left it and nothing went wrong."""
    pages: list[tuple[Any, list[str], list[str]]] = []

    def start(path: Path, **options: Any) -> Any:
        options.setdefault("viewport", {"width": 1280, "height": 800})
        page = browser.new_context(**options).new_page()
        page.set_default_timeout(10_000)
        asked: list[str] = []
        said: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path.as_uri())
        pages.append((page, asked, said))
        return page

    yield start
    for page, asked, said in pages:
        assert said == []
        assert [url for url in asked if not url.startswith(("blob:", "file:", "data:"))] == []
        assert len([url for url in asked if url.startswith("file:")]) == 1
        page.context.close()
