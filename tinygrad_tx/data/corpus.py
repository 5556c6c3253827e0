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
        what, remedy = f"cannot be read: {error.strerror}", "check the path, from where you are"
        if Path(path).is_dir():
            remedy = "give one file; a folder of them: tinygrad-tx data prepare FOLDER --out SET"
        raise DataError(explain(f"text {path}", what, remedy=remedy)) from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"is not UTF-8: byte 0x{raw[error.start]:02x} at {error.start}"
        encoding = "UTF-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "LATIN1"
        remedy = f"convert it, as in: iconv -f {encoding} -t UTF-8 old.txt > new.txt"
        if encoding == "LATIN1" and b"\0" in raw[:4096]:
            remedy = "it is no text file: give one, as a .txt"
        elif encoding == "LATIN1":
            remedy += ", or -f GB18030 for Chinese"
        raise DataError(explain(f"text {path}", what, remedy=remedy)) from None
    if not text.strip():
        raise DataError(explain(f"text {path}", "is empty", remedy="give a file with text in it"))
    return text
