"""A folder of tokens larger than memory: what its files say, checked before anything is read.

data.json says all: dtype, tokenizer, sources, and size and digest of each shard. A shard is a file
of raw little-endian tokens and one of borders: uint64, behind the last token of each document.

Tokens are read where they are wanted, never mapped: a mapped file that shrinks ends the process by
a signal, and reads of a few hundred bytes are as fast.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_tx.data.tokenizers import Tokenizer, load_tokenizer
from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.untrusted import opened, parse_json, read_bytes

__all__ = [
    "HEADER",
    "SIDES",
    "TOKENIZER",
    "Shard",
    "TokenSet",
    "TokenSide",
    "dtype_of",
    "header_text",
]

HEADER, TOKENIZER = "data.json", "tokenizer.json"
MAGIC, VERSION = "tinygrad_tx tokens", 1
SIDES = ("learning", "held_out")
DTYPES = {"uint16": 1 << 16, "uint32": 1 << 32}
LARGEST_HEADER = 1 << 28
MOST_OPEN = 256
"""Shards at once."""
CHUNK = 1 << 23


@dataclass(frozen=True)
class Shard:
    """What is on one side of a part of the sources."""

    side: str
    number: int
    tokens: int
    documents: int
    characters: int
    sha256: str
    borders_sha256: str

    @property
    def tokens_name(self) -> str:
        return f"{self.side}-{self.number:05d}.tokens"

    @property
    def borders_name(self) -> str:
        return f"{self.side}-{self.number:05d}.borders"


class TokenSide:
    """The shards to learn from, or those held out. Tokens are read where they are, as int64."""

    def __init__(self, folder: Path, shards: Sequence[Shard], dtype: str, vocab_size: int) -> None:
        self.folder, self.shards, self.vocab_size = folder, tuple(shards), vocab_size
        self.dtype = np.dtype(dtype).newbyteorder("<")
        self.tokens = sum(s.tokens for s in shards)
        self.documents = sum(s.documents for s in shards)
        self.characters = sum(s.characters for s in shards)
        self._open: dict[int, _File] = {}

    def rows(
        self, shards: np.ndarray[Any, Any], starts: np.ndarray[Any, Any], length: int
    ) -> np.ndarray[Any, Any]:
        """int64 (rows, length): `length` tokens of each of `shards`, from each of `starts`.

        Errors: DataError for a file that is shorter than it was or can no longer be read, and for
        a token outside the vocabulary: the file is damaged.
        """
        found = np.empty((len(starts), length), np.int64)
        for row, (shard, start) in enumerate(zip(shards.tolist(), starts.tolist(), strict=True)):
            found[row] = self._read(shard, start, length)
        if found.size and found.max() >= self.vocab_size:
            worst = int(shards[found.max(axis=1).argmax()])
            what = f"is damaged: a token is {found.max()}, the vocabulary {self.vocab_size}"
            remedy = f"find all damage with: tinygrad-tx data check {self.folder}"
            path = self.folder / self.shards[worst].tokens_name
            raise DataError(explain(str(path), what, remedy=remedy))
        return found

    def borders(self, shard: int) -> np.ndarray[Any, Any]:
        """int64 ends of the documents of a shard. Errors: DataError where they do not rise."""
        known = self.shards[shard]
        path = self.folder / known.borders_name
        try:
            ends = np.fromfile(path, "<u8")
        except OSError as error:
            raise DataError(explain(str(path), f"cannot be read: {error.strerror}")) from None
        ok = len(ends) == known.documents and (ends[-1:] == known.tokens).all()
        if not (ok and (ends[:-1] <= ends[1:]).all()):
            what = "is damaged: its borders do not rise to the number of tokens"
            raise DataError(explain(str(path), what))
        return ends.astype(np.int64)

    def _read(self, shard: int, start: int, count: int) -> np.ndarray[Any, Any]:
        known, bytes_each = self.shards[shard], self.dtype.itemsize
        path = self.folder / known.tokens_name
        try:
            if shard not in self._open:
                if len(self._open) >= MOST_OPEN:
                    self._open.pop(next(iter(self._open)))
                self._open[shard] = _File(path)
            file = self._open[shard]
            raw = file.read(start * bytes_each, count * bytes_each)
            if len(raw) < count * bytes_each:
                what = f"is cut short: {file.size} bytes, not {known.tokens * bytes_each}"
                remedy = "put the whole file back; a run goes on from its checkpoint with --resume"
                raise DataError(explain(str(path), what, remedy=remedy))
        except OSError as error:
            raise DataError(explain(str(path), f"cannot be read: {error.strerror}")) from None
        return np.frombuffer(raw, self.dtype)


class _File:
    """A file that stays open while it is read at any place."""

    def __init__(self, path: Path) -> None:
        held = ExitStack()
        self._file, _ = held.enter_context(opened(path))
        weakref.finalize(self, held.close)

    @property
    def size(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def read(self, start: int, size: int) -> bytes:
        """The bytes there; fewer where the file ends."""
        found = b""
        while len(found) < size and (part := self._once(start + len(found), size - len(found))):
            found += part
        return found

    def _once(self, start: int, size: int) -> bytes:
        if hasattr(os, "pread"):  # processes that forked share a file's place: this needs none
            return os.pread(self._file.fileno(), size, start)
        self._file.seek(start)
        return self._file.read(size)


@dataclass(frozen=True)
class TokenSet:
    """A folder that `prepare` made. digest: of the header, and so of all that it names."""

    path: Path
    digest: str
    dtype: str
    vocab_size: int
    tokenizer: Tokenizer
    settings: Mapping[str, Any]
    sources: Sequence[Mapping[str, Any]]
    learning: TokenSide
    held_out: TokenSide

    @classmethod
    def open(cls, path: Path | str) -> TokenSet:
        """Reads the header and the tokenizer, and compares the size of every file with it.

        Digests of shards are left to `check`. Errors: DataError.
        """
        folder = Path(path)
        found = _header(folder)
        try:
            shards = [Shard(**fields) for fields in found["shards"]]
            said, vocab_size, dtype = found["tokenizer"], found["vocab_size"], found["dtype"]
            _check_header(shards, vocab_size, dtype)
            raw = _read(folder / TOKENIZER, LARGEST_HEADER)
            if hashlib.sha256(raw).hexdigest() != said:
                what = "is damaged: its digest is not that in data.json"
                raise DataError(explain(str(folder / TOKENIZER), what))
            tokenizer = load_tokenizer(raw.decode())
            if tokenizer.vocab_size != vocab_size:
                raise ValueError(f"vocabulary {vocab_size}, tokenizer {tokenizer.vocab_size}")
            sides = [
                TokenSide(folder, [s for s in shards if s.side == side], dtype, vocab_size)
                for side in SIDES
            ]
            settings, sources = dict(found["settings"]), [dict(s) for s in found["sources"]]
        except DataError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(explain(str(folder / HEADER), f"is damaged: {error}")) from None
        for side in sides:
            _check_sizes(side)
        digest = found["digest"]
        return cls(folder, digest, dtype, vocab_size, tokenizer, settings, sources, *sides)

    def check(self, on_progress: Callable[[int, int], None] | None = None) -> int:
        """Reads every shard and compares its digest: the number of files that were checked.

        on_progress: told (bytes done, bytes in all). Errors: DataError names all damaged files.
        """
        files = [
            (side.folder / name, digest, side.dtype if is_tokens else None)
            for side in (self.learning, self.held_out)
            for shard in side.shards
            for name, digest, is_tokens in (
                (shard.tokens_name, shard.sha256, True),
                (shard.borders_name, shard.borders_sha256, False),
            )
        ]
        total = sum(path.stat().st_size for path, _, _ in files)
        done, bad = 0, []
        for path, digest, dtype in files:
            found = hashlib.sha256()
            is_outside = False
            with open(path, "rb") as file:
                while chunk := file.read(CHUNK):
                    found.update(chunk)
                    if dtype is not None and len(chunk) % dtype.itemsize == 0:
                        is_outside |= int(np.frombuffer(chunk, dtype).max()) >= self.vocab_size
                    done += len(chunk)
                    if on_progress is not None:
                        on_progress(done, total)
            if found.hexdigest() != digest:
                bad.append(f"{path.name} has another digest")
            elif is_outside:
                bad.append(f"{path.name} has tokens outside the vocabulary")
        if bad:
            what = f"is damaged: {', '.join(bad)}"
            remedy = "prepare it anew in another folder; its sources are listed by: data info"
            raise DataError(explain(str(self.path), what, remedy=remedy))
        return len(files)


def dtype_of(vocab_size: int) -> str:
    """The smallest dtype of a file that holds any token. Errors: DataError above 32 bits."""
    for dtype, size in DTYPES.items():
        if vocab_size <= size:
            return dtype
    raise DataError(explain("tokens", f"a vocabulary of {vocab_size} does not fit 32 bits"))


def header_text(fields: Mapping[str, Any]) -> str:
    """data.json of `fields`, with magic, version and the digest of itself."""
    whole = {"magic": MAGIC, "version": VERSION, **fields}
    return json.dumps({**whole, "digest": _digest(whole)}, indent=1, ensure_ascii=False) + "\n"


def _digest(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def _header(folder: Path) -> dict[str, Any]:
    path = folder / HEADER
    if not path.exists():
        what = f"is no data set: it has no {HEADER}"
        remedy = f"make it with: tinygrad-tx data prepare TEXT --out {folder}"
        raise DataError(explain(str(folder), what, remedy=remedy))
    try:
        found = parse_json(_read(path, LARGEST_HEADER))
        if not isinstance(found, dict) or found.get("magic") != MAGIC:
            raise ValueError("it is no description of tokens")
        if found.get("version") != VERSION:
            what = f"is of version {found.get('version')!r}, and this program reads {VERSION}"
            raise DataError(explain(str(path), what))
        if _digest({k: v for k, v in found.items() if k != "digest"}) != found.get("digest"):
            raise ValueError("its digest is not that of its contents")
    except DataError:
        raise
    except ValueError as error:
        raise DataError(explain(str(path), f"is damaged: {error}")) from None
    return found


def _check_header(shards: Sequence[Shard], vocab_size: Any, dtype: Any) -> None:
    """Errors: ValueError. Files are called by a side and a number: no name leads elsewhere."""
    if dtype not in DTYPES or type(vocab_size) is not int or not 0 < vocab_size <= DTYPES[dtype]:
        raise ValueError(f"dtype {dtype!r} with a vocabulary of {vocab_size!r}")
    seen = set()
    for shard in shards:
        numbers = (shard.number, shard.tokens, shard.documents, shard.characters)
        if shard.side not in SIDES or any(type(n) is not int or n < 0 for n in numbers):
            raise ValueError(f"shard {dataclasses.asdict(shard)}")
        seen.add((shard.side, shard.number))
    if len(seen) != len(shards):
        raise ValueError("a shard comes twice")


def _check_sizes(side: TokenSide) -> None:
    for shard in side.shards:
        wanted = {shard.tokens_name: shard.tokens * side.dtype.itemsize}
        wanted[shard.borders_name] = shard.documents * 8
        for name, size in wanted.items():
            path = side.folder / name
            try:
                found = path.stat().st_size
            except OSError as error:
                raise DataError(explain(str(path), f"cannot be read: {error.strerror}")) from None
            if found != size:
                raise DataError(explain(str(path), f"is damaged: {found} bytes, not {size}"))


def _read(path: Path, most: int) -> bytes:
    try:
        return read_bytes(path, most)
    except OSError as error:
        raise DataError(explain(str(path), f"cannot be read: {error.strerror}")) from None
