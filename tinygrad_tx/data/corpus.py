"""Where training text comes from."""

from __future__ import annotations

from pathlib import Path
from pydoc_data.topics import topics

from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.untrusted import memory_of_machine, read_bytes

__all__ = ["default_text", "read_text"]


def default_text() -> str:
    """The language reference that every CPython carries: about 465 KB of English with code."""
    return "\n\n".join(topics[name] for name in sorted(topics))


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, in any language.

    Errors: DataError for a file that cannot be read, is empty, or is not UTF-8.
    """
    try:
        raw = read_bytes(path, memory_of_machine())
    except OSError as error:
        raise DataError(explain(f"text {path}", f"cannot be read: {error.strerror}")) from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"is not UTF-8: byte 0x{raw[error.start]:02x} at {error.start}"
        remedy = "convert it, as in: iconv -f GB18030 -t UTF-8 old.txt > new.txt"
        raise DataError(explain(f"text {path}", what, remedy=remedy)) from None
    if not text.strip():
        raise DataError(explain(f"text {path}", "is empty"))
    return text
