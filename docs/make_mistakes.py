"""Prints docs/mistakes.md: the list in tests/mistakes/, with what each mistake is told now."""

from __future__ import annotations

import re
import runpy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

LIST = Path(__file__).parent.parent / "tests" / "mistakes" / "told.py"
HEAD = """# Mistakes, what you are told, and what to write instead

Made by `docs/make_mistakes.py` out of `tests/mistakes/`: {count} things that people write who come
from PyTorch, JAX, Hugging Face or scikit-learn, or are new to all of them. Every message below is
the real one, and what is written instead is run by the tests. Search this page for a word of the
message that you got.

A message reads: operation: what is wrong, with the values; where the tensors were made, as
`file:line`; what to do. Almost all errors are `tinygrad_tx.errors.TinygradTxError`, and also the
built-in that people catch: a `ShapeError` is a `ValueError`, a `NoSuchNameError` an
`AttributeError`.

Before each piece of Python stands:

```python
{prelude}
```

"""


def page(topics: Sequence[Any], told: Callable[[Any], tuple[str, str]], prelude: str) -> str:
    """The whole page."""
    count = sum(len(topic.mistakes) for topic in topics)
    lines = [HEAD.format(count=count, prelude=prelude.strip("\n"))]
    lines += [f"- [{t.title}](#{_anchor(t.title)}) ({len(t.mistakes)})\n" for t in topics]
    for topic in topics:
        lines.append(f"\n## {topic.title}\n")
        if topic.intro:
            lines.append(f"\n{topic.intro}\n")
        lines += [_shown(mistake, *told(mistake)) for mistake in topic.mistakes]
    return "".join(lines)


def _shown(mistake: Any, kind: str, text: str) -> str:
    """What is written, what is said, what to write instead."""
    kind, text = "" if mistake.command else kind, mistake.said or text
    said = f"> `{kind}`: {_plain(text)}" if kind else f"> {_plain(text)}"
    parts = [
        f"\n### {mistake.name}\n",
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


if __name__ == "__main__":
    found = runpy.run_path(str(LIST))
    sys.stdout.write(page(found["topics"](), found["told"], found["PRELUDE"]))
