"""Prints docs/operators.md from the operators themselves."""

from __future__ import annotations

import sys

import tinygrad_tx.ops  # noqa: F401  # registers the operators
from tinygrad_tx.graph.node import Operator
from tinygrad_tx.graph.registry import operators

HEAD = """# Operators

Made by `docs/make_operators.py` from the files in `ops/`; each operator stands whole in its file.
A composite has an expansion into primitives, which is what is drawn, looked into and differentiated
where it has no rule. "Runs as": a kernel written here, a loop generated for it, NumPy, a view (no
work at all), or its expansion.

| operator | formula | kind | derivatives | runs as |
| --- | --- | --- | --- | --- |
"""


def derivatives(op: Operator) -> str:
    if op.partials is not None:
        return "reverse, forward"
    reverse = op.gradient is not None or op.expand is not None
    forward = bool(op.linear_in) or op.tangent is not None or op.expand is not None
    modes = [name for name, has in (("reverse", reverse), ("forward", forward)) if has]
    return ", ".join(modes) or "none"


def runs_as(op: Operator) -> str:
    ways = [
        ("kernel", op.lower is not None),
        ("generated", op.is_elementwise),
        ("view", op.view is not None),
        ("NumPy", op.ufunc is not None or op.reference is not None),
        ("expansion", op.expand is not None),
    ]
    return ", ".join(name for name, has in ways if has)


def main() -> None:
    sys.stdout.write(HEAD)
    for op in operators():
        kind = "composite" if op.is_composite else "primitive"
        formula = f"`{op.formula}`" if op.formula else ""
        row = (f"`{op.name}`", formula.replace("|", "\\|"), kind, derivatives(op), runs_as(op))
        sys.stdout.write(f"| {' | '.join(row)} |\n")


main()
