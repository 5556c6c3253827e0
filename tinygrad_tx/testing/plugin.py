"""The pytest plug-in: options, a marker, a summary line, reports as files, failures as pictures.

Found on install. With pytest-xdist the reports of all workers are joined.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tinygrad_tx.testing.pages import as_html, as_json, summary_line
from tinygrad_tx.testing.profile import profile
from tinygrad_tx.testing.report import GradientError, Report, finished

PROFILES = {"quick": 10, "default": 30, "thorough": 300}

collected: list[Report] = []
"""Reports that workers sent."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("gradcheck", "gradient checks of tinygrad_tx")
    group.addoption("--gradcheck-examples", type=int, metavar="N", help="examples for each test")
    group.addoption(
        "--gradcheck-profile",
        choices=sorted(PROFILES),
        default="default",
        help="examples for each test: quick 10, default 30, thorough 300",
    )
    group.addoption("--gradcheck-seed", type=int, metavar="N", help="other random directions")
    group.addoption("--gradcheck-json", type=Path, metavar="FILE", help="all reports as JSON")
    group.addoption("--gradcheck-html", type=Path, metavar="FILE", help="all reports as a page")
    group.addoption(
        "--gradcheck-failures",
        type=Path,
        metavar="FOLDER",
        default=Path(".gradcheck"),
        help="where failures leave their code and their graph as SVG",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "gradcheck: checks gradients; select with -m gradcheck")
    examples, seed = config.getoption("gradcheck_examples"), config.getoption("gradcheck_seed")
    if examples is not None and examples < 1:
        raise pytest.UsageError(f"--gradcheck-examples {examples}: give at least 1")
    profile.examples = examples or PROFILES[config.getoption("gradcheck_profile")]
    profile.seed = seed or 0


@pytest.hookimpl(tryfirst=True)  # before pytest selects by -m
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What `given_gradients` made has the marker."""
    for item in items:
        if getattr(getattr(item, "function", None), "checks_gradients", False):
            item.add_marker("gradcheck")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report: Any = yield
    error = call.excinfo.value if call.excinfo is not None else None
    if isinstance(error, GradientError):
        try:
            files = error.save(item.config.getoption("gradcheck_failures"))
            report.sections.append(("gradcheck", "\n".join(f"see {f}" for f in files)))
        except Exception as problem:  # the failure itself must still be shown
            report.sections.append(("gradcheck", f"could not save the failure: {problem}"))
    return report  # type: ignore[no-any-return]


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["gradcheck"] = [r.as_json() for r in finished]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    del error
    collected.extend(Report(**r) for r in getattr(node, "workeroutput", {}).get("gradcheck", []))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    reports = [*collected, *finished]
    if not reports:
        return
    terminalreporter.write_line(summary_line(reports))
    for option, page in (("gradcheck_json", as_json), ("gradcheck_html", as_html)):
        path = config.getoption(option)
        if path is not None:
            path.write_text(page(reports), encoding="utf-8")
