"""The page of the command line, from the commands themselves: see hooks.py."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

import typer

from tinygrad_tx.cli.main import app


def commands() -> Iterator[tuple[str, Any, Any]]:
    """The name of each command, the command, and its context."""

    def below(command: Any, name: str, parent: Any) -> Iterator[tuple[str, Any, Any]]:
        context = command.make_context(name, [], parent=parent, resilient_parsing=True)
        path = f"{parent.command_path} {name}" if parent else name
        inner = getattr(command, "commands", {})
        if parent and not inner:
            yield path, command, context
        for child, found in inner.items():
            yield from below(found, child, context)

    yield from below(typer.main.get_command(app), "tinygrad-tx", None)


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("[", "\\[")


def help_of(command: Any) -> list[str]:
    """Prose as prose; examples, which stand behind the sign that keeps lines whole, as code."""
    prose, _, examples = (command.help or "").partition("\b\n")
    title, _, commands = examples.partition("\n")
    return [prose, "", title, "", textwrap.indent(textwrap.dedent(commands), "    ")]


def section(name: str, command: Any, context: Any) -> list[str]:
    lines = [f"## {name}", "", *help_of(command), ""]
    records = [(p, p.get_help_record(context)) for p in command.params]
    shown = [(p, record) for p, record in records if record]
    if shown:
        lines += ["| argument | what it sets |", "| --- | --- |"]
        lines += [f"| `{how.strip()}` | {cell(what)} |" for _, (how, what) in shown]
    return [*lines, ""]


def markdown() -> str:
    """The text of the page."""
    lines = [
        "# Command line",
        "",
        "Every command prints this with `--help`. Bad input ends with one line and exit code 2.",
        "",
    ]
    for found in commands():
        lines += section(*found)
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown())
