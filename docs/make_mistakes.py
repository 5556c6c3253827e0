"""Writes docs/mistakes/: what each mistake of tests/mistakes/ is told, a page for each topic."""

from __future__ import annotations

import re
import runpy
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tinygrad_tx.files import write_whole

FOLDER = Path(__file__).parent / "mistakes"
LIST = FOLDER.parent.parent / "tests" / "mistakes" / "told.py"
HEAD = """# Common mistakes

{count} things that people write who come from PyTorch, JAX, Hugging Face or scikit-learn, or are
new to all of them; what each is told, and what to write instead. Find yours by its topic, or by the
word that [its message begins with](#by-the-message).

| topic | mistakes | for example |
| --- | --- | --- |
{topics}

## How to read a message

A message says, in this order, which operation failed; what is wrong, with the values; where the
tensors were made, as `file:line`; and what to do. Almost all errors are
`tinygrad_tx.errors.TinygradTxError`, and also the built-in that people catch: a `ShapeError` is a
`ValueError`, a `NoSuchNameError` an `AttributeError`.

The pages are made by `docs/make_mistakes.py` out of `tests/mistakes/`. Every message on them is the
real one, and what is written instead is run by the tests. Before each piece of Python stands:

```python
{prelude}
```

## By the message

| it begins with | mistakes |
| --- | --- |
{begins}
"""
ABOVE = """# {title}

{intro}[Common mistakes](README.md) lists all topics, and has what stands before each piece of
Python.
"""


def pages(
    topics: Sequence[Any], told: Callable[[Any], tuple[str, str]], prelude: str
) -> dict[str, str]:
    """The text of each page by its file: the list of topics, and a page for each."""
    made = {"README.md": _index(topics, told, prelude.strip("\n"))}
    for topic in topics:
        intro = f"{topic.intro}\n\n" if topic.intro else ""
        shown = [_shown(mistake, *told(mistake)) for mistake in topic.mistakes]
        made[_place(topic)] = "".join([ABOVE.format(title=topic.title, intro=intro), *shown])
    return made


def _index(topics: Sequence[Any], told: Callable[[Any], tuple[str, str]], prelude: str) -> str:
    """All topics, and all words that messages begin with."""
    lines = [
        f"| [{t.title}]({_place(t)}) | {len(t.mistakes)} | {_link(t, t.mistakes[0])} |"
        for t in topics
    ]
    begins: dict[str, list[str]] = defaultdict(list)
    for topic in topics:
        for mistake in topic.mistakes:
            if word := _beginning(mistake, told(mistake)[1]):
                begins[word].append(_link(topic, mistake))
    rows = [f"| `{w}` | {'; '.join(begins[w])} |" for w in sorted(begins, key=str.lower)]
    count = sum(len(t.mistakes) for t in topics)
    tables = {"topics": "\n".join(lines), "begins": "\n".join(rows)}
    return HEAD.format(count=count, prelude=prelude, **tables)


def _beginning(mistake: Any, text: str) -> str:
    """The operation, class or function of ours that a message begins with; none of a user's own."""
    word = re.match(r"[A-Za-z_][\w.]*(?=:)", "" if mistake.command else mistake.said or text)
    own = rf"(?:class |def |[\"']){re.escape(word[0])}\b" if word else ""
    return word[0] if word and not re.search(own, mistake.wrong) else ""


def _place(topic: Any) -> str:
    return f"{_anchor(topic.title)}.md"


def _link(topic: Any, mistake: Any) -> str:
    return f"[{_plain(mistake.name)}]({_place(topic)}#{_anchor(mistake.name)})"


def _shown(mistake: Any, kind: str, text: str) -> str:
    """What is written, what is said, what to write instead."""
    kind, text = "" if mistake.command else kind, mistake.said or text
    said = f"> `{kind}`: {_plain(text)}" if kind else f"> {_plain(text)}"
    parts = [
        f"\n## {_plain(mistake.name)}\n",
        _fenced(mistake.command or mistake.wrong, bool(mistake.command)),
        said if text else "> Nothing is said.",
        *([mistake.why] if mistake.why else []),
        "Instead:",
        _fenced(mistake.instead, bool(mistake.command)),
    ]
    return (
        "\n\n".join(part.strip("\n") if i else part.rstrip("\n") for i, part in enumerate(parts))
        + "\n"
    )


def _fenced(code: str, is_command: bool) -> str:
    """Not ```python: the tests of the list run it, and examples must not be wrong."""
    return f"```sh\ntinygrad-tx {code}\n```" if is_command else f"```py\n{code}\n```"


def _plain(text: str) -> str:
    """Text of a message as Markdown: no sign of it means anything but itself."""
    return re.sub(r"([\\`*_<>\[\]|#])", r"\\\1", text)


def _anchor(title: str) -> str:
    return re.sub(r"[^\w-]", "", title.lower().replace(" ", "-"))


def main() -> None:
    found = runpy.run_path(str(LIST))
    made = pages(found["topics"](), found["told"], found["PRELUDE"])
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.md"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        write_whole(FOLDER / name, text)


if __name__ == "__main__":
    main()
