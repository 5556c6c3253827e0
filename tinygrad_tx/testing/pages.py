"""Reports as JSON and as one HTML page."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence

from tinygrad_tx.testing.report import Report

__all__ = ["as_html", "as_json", "summary_line"]


def summary_line(reports: Sequence[Report]) -> str:
    """What all checks came to."""
    total = Report("all")
    for report in reports:
        total.add(report)
    names = len({r.name for r in reports})
    return (
        f"gradients: {names} functions, {total.samples} samples, {total.kinks} at kinks, "
        f"{total.discarded} discarded, worst error {total.worst:.2g} of what is allowed, "
        f"{total.seconds:.1f} s"
    )


def as_json(reports: Sequence[Report]) -> str:
    return json.dumps([r.as_json() for r in reports], indent=1) + "\n"


def as_html(reports: Sequence[Report]) -> str:
    """A table, the slowest and worst easy to see; no script, no other file."""
    head = ("name", "samples", "kinks", "discarded", "worst", "seconds", "checks")
    rows = []
    for r in reports:
        checks = ", ".join(f"{k} {n}" for k, n in r.checks.items())
        cells = (
            r.name,
            r.samples,
            r.kinks,
            r.discarded,
            f"{r.worst:.2g}",
            f"{r.seconds:.2f}",
            checks,
        )
        rows.append("".join(f"<td>{html.escape(str(c))}</td>" for c in cells))
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    titles = "".join(f"<th>{t}</th>" for t in head)
    return (
        "<!doctype html><meta charset='utf-8'><title>Gradient checks</title>"
        "<style>body{font:14px sans-serif}table{border-collapse:collapse}"
        "td,th{border:1px solid #ccc;padding:2px 8px;text-align:left}</style>"
        f"<p>{html.escape(summary_line(reports))}</p><table><tr>{titles}</tr>\n{body}</table>\n"
    )
