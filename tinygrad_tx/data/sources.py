"""Texts in files that may be larger than memory: found, and read document by document."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import stat
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinygrad_tx.errors import DataError, explain

__all__ = ["SUFFIXES", "Source", "SourceReader", "find_sources"]

SUFFIXES = (".txt", ".md", ".jsonl")
"""What is read of a folder, also with .gz behind it."""

CHUNK = 1 << 20
MOST_LINE = 1 << 28
"""Bytes of a line of .jsonl, which has to be in memory whole."""


@dataclass(frozen=True)
class Source:
    """A file of text. changed: when it was last written to, in nanoseconds."""

    path: str
    bytes: int
    changed: int


def find_sources(
    texts: Sequence[Path], suffixes: Sequence[str] = SUFFIXES, leave_out: Path | None = None
) -> list[Source]:
    """Files as they were given, and those in folders by path; each once.

    Hidden files, links to folders and the folder `leave_out` are passed over. Errors: DataError.
    """
    found: dict[Path, Source] = {}
    avoided = leave_out.resolve() if leave_out is not None else None
    for text in texts:
        try:
            paths = list(_below(text, tuple(suffixes))) if text.is_dir() else [text]
            for path in paths:
                known, real = path.stat(), path.resolve()
                if not stat.S_ISREG(known.st_mode):
                    raise DataError(explain(f"text {path}", "is neither a file nor a folder"))
                if avoided is None or avoided not in real.parents:
                    found.setdefault(real, Source(str(path), known.st_size, known.st_mtime_ns))
        except OSError as error:
            what = f"cannot be read: {error.strerror}"
            raise DataError(explain(f"text {error.filename or text}", what)) from None
    if not found:
        what = f"no file that ends in {', '.join(suffixes)}, or one of these and .gz"
        remedy = "name the files themselves, or other endings with --suffix"
        raise DataError(explain(", ".join(map(str, texts)) or "texts", what, remedy=remedy))
    return list(found.values())


def _below(folder: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    def stop(error: OSError) -> None:
        raise error

    for place, folders, names in os.walk(folder, onerror=stop):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and name.removesuffix(".gz").endswith(suffixes):
                yield Path(place, name)


class SourceReader:
    """The documents of one file, in order, with some 1 MiB of it in memory at a time.

    A line of .jsonl is a document: its `field`. Any other file is a text, cut where it is longer
    than 2 * `piece` characters: behind the first blank line, else line, else character, that
    follows `piece` characters. With .gz behind the name it is unpacked on the way.
    Errors: DataError, with the file and the byte where it is no UTF-8 or no JSON.
    """

    def __init__(self, path: Path | str, field: str = "text", piece: int = 8192) -> None:
        self.path, self.field, self.piece = Path(path), field, piece
        self._raw: _Hashed | None = None

    @property
    def bytes_read(self) -> int:
        """Of the file, packed as it may be."""
        return self._raw.count if self._raw else 0

    @property
    def sha256(self) -> str:
        """Of the file, once all documents were read."""
        return self._raw.digest.hexdigest() if self._raw else ""

    def __iter__(self) -> Iterator[str]:
        name = self.path.name
        try:
            with open(self.path, "rb", buffering=0) as file:
                self._raw = _Hashed(file)
                plain: Any = io.BufferedReader(self._raw, CHUNK)
                if name.endswith(".gz"):
                    plain = gzip.GzipFile(fileobj=plain, mode="rb")
                if name.removesuffix(".gz").endswith(".jsonl"):
                    yield from self._lines(plain)
                else:
                    yield from _pieces(self._decoded(plain), self.piece)
        except (OSError, EOFError, zlib.error) as error:  # gzip: BadGzipFile is an OSError
            what = f"cannot be read: {getattr(error, 'strerror', None) or error}"
            raise DataError(explain(f"text {self.path}", what)) from None

    def _decoded(self, plain: Any) -> Iterator[str]:
        """The text in parts; a character cut by the end of a part waits for the next one."""
        rest, place, is_last = b"", 0, False
        while not is_last:
            new = plain.read(CHUNK)
            is_last = not new
            part = rest + new
            try:
                text, used = part.decode(), len(part)
            except UnicodeDecodeError as error:
                is_cut = error.end == len(part) and len(part) - error.start < 4
                if is_last or not is_cut or error.reason != "unexpected end of data":
                    self._refuse_byte(part[error.start], place + error.start)
                text, used = part[: error.start].decode(), error.start
            if place == 0 and used:
                text = text.removeprefix("\ufeff")
            place, rest = place + used, part[used:]
            yield text

    def _lines(self, plain: Any) -> Iterator[str]:
        place, number = 0, 0
        while line := plain.readline(MOST_LINE + 1):
            number += 1
            where = f"line {number}, which begins at byte {place},"
            if len(line) > MOST_LINE:
                raise DataError(explain(f"text {self.path}", f"{where} is over {MOST_LINE} bytes"))
            if line.strip():
                yield self._field_of(line, where, place)
            place += len(line)

    def _field_of(self, line: bytes, where: str, place: int) -> str:
        try:
            found = json.loads(line.decode().removeprefix("\ufeff"))
            text = found[self.field]
            text.encode()  # JSON can spell half a surrogate pair, which is no text
        except UnicodeDecodeError as error:
            self._refuse_byte(line[error.start], place + error.start)
        except (ValueError, RecursionError) as error:
            raise DataError(explain(f"text {self.path}", f"{where} is damaged: {error}")) from None
        except (KeyError, TypeError, AttributeError):
            what = f"{where} has no text under {self.field!r}"
            remedy = "say where the text is with --field"
            raise DataError(explain(f"text {self.path}", what, remedy=remedy)) from None
        return str(text)

    def _refuse_byte(self, value: int, place: int) -> None:
        what = f"is not UTF-8: byte 0x{value:02x} at {place}"
        if self.path.name.endswith(".gz"):
            what += " of what is packed in it"
        remedy = "convert it, as in: iconv -f GB18030 -t UTF-8 old.txt > new.txt"
        raise DataError(explain(f"text {self.path}", what, remedy=remedy)) from None


def _pieces(texts: Iterator[str], piece: int) -> Iterator[str]:
    """Cuts depend on the text alone, not on the parts that it comes in."""
    most, held, start = 2 * piece, "", 0
    for text in texts:
        held, start = held[start:] + text, 0
        while len(held) - start > most:
            end = start + most
            first = held.find("\n\n", start + piece, end)
            if first >= 0:
                end = first + 2
            elif (first := held.find("\n", start + piece, end)) >= 0:
                end = first + 1
            yield held[start:end]
            start = end
    if held[start:]:
        yield held[start:]


class _Hashed(io.RawIOBase):
    """A file that knows the digest of what was read of it."""

    def __init__(self, file: io.RawIOBase | io.FileIO) -> None:
        self._file, self.count, self.digest = file, 0, hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        count = self._file.readinto(into) or 0
        self.digest.update(memoryview(into)[:count])
        self.count += count
        return count
