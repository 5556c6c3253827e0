"""prepare: texts to a folder of tokens, shard by shard; killed at any instant, it goes on.

Two passes over the sources. The first notes each one's digest and learns the tokenizer; then
`progress.json` stands. The second writes shards, and notes after each how far it came. At the end
data.json takes the place of progress.json. No byte depends on when or how often it was stopped.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_tx.data.encode import Encoded, encoded
from tinygrad_tx.data.learn_tokenizer import EVERY, LEARNING, Learner, learner_of
from tinygrad_tx.data.snownlp import is_held_out
from tinygrad_tx.data.sources import SUFFIXES, Source, SourceReader, find_sources
from tinygrad_tx.data.token_set import (
    HEADER,
    SIDES,
    TOKENIZER,
    Shard,
    TokenSet,
    dtype_of,
    header_text,
)
from tinygrad_tx.data.tokenizers import Tokenizer, load_tokenizer
from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.files import locked, write_whole
from tinygrad_tx.untrusted import parse_json, read_bytes, read_text

__all__ = ["Preparation", "prepare"]

PROGRESS, LOCK = "progress.json", ".lock"
MOST_DOCUMENTS = 1 << 19
"""Of a shard: each costs some hundred bytes until it is written, however short it is."""
OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Preparation:
    """What a data set is made with.

    tokenizer: "char", "byte", "bpe" or a tokenizer.json of a run, of a data set or of Hugging Face.
    vocab_size: units of bpe. held_out: share of the documents. field: of a line of .jsonl. piece:
    characters after which a longer text is cut into documents. shard_tokens: after so many tokens a
    shard ends, which are in memory until then.
    """

    tokenizer: str = "bpe"
    vocab_size: int = 4096
    held_out: float = 0.05
    field: str = "text"
    piece: int = 8192
    shard_tokens: int = 1 << 24

    def __post_init__(self) -> None:
        if not 0 < self.held_out < 1:
            what = f"held_out is {self.held_out}; it must be above 0 and below 1"
            raise DataError(explain("Preparation", what))
        least = {"vocab_size": 256, "piece": 1, "shard_tokens": 1}
        for name, low in least.items():
            if getattr(self, name) < low:
                what = f"{name} is {getattr(self, name)}; it must be at least {low}"
                raise DataError(explain("Preparation", what))


@dataclass
class _Progress:
    """progress.json. source, document: what comes next; sources: path, bytes, changed, sha256."""

    settings: dict[str, Any]
    sources: list[dict[str, Any]]
    shards: list[dict[str, Any]] = field(default_factory=list)
    parts: int = 0
    source: int = 0
    document: int = 0


def prepare(
    texts: Sequence[Path],
    out: Path,
    how: Preparation | None = None,
    workers: int = 1,
    suffixes: Sequence[str] = SUFFIXES,
    on_progress: OnProgress | None = None,
) -> TokenSet:
    """Tokens of all documents of `texts`, files or folders of them, as a data set in `out`.

    A document is held out by a hash of its letters and digits, so that copies are on one side. Goes
    on where an earlier call stopped, and then needs the same texts and settings. workers: processes
    that encode; the result does not depend on it. on_progress: told (what is done, bytes of the
    sources so far, bytes in all). Errors: DataError, also for a source that changed in between.
    """
    how, tell = how or Preparation(), on_progress or (lambda stage, done, total: None)
    sources = find_sources(texts, suffixes, leave_out=out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with locked(out / LOCK):
            _check_folder(out)
            is_new = not (out / HEADER).exists()
            if is_new:
                _work(sources, out, how, workers, tell)
            found = TokenSet.open(out)
            _same_settings(out, dict(found.settings), how)
            _same_sources(out, [dict(s) for s in found.sources], sources)
            if not is_new:
                _unchanged([{**s, "changed": None} for s in found.sources], sources)
            (out / PROGRESS).unlink(missing_ok=True)
            return found
    except BlockingIOError as error:
        what = f"is being prepared by {error}"
        raise DataError(explain(str(out), what, remedy="wait for its end")) from None
    except OSError as error:
        what = f"cannot be written: {error.strerror or error}"
        remedy = "what was finished is kept: the same command goes on with it"
        raise DataError(explain(str(out), what, remedy=remedy)) from None


def _work(
    sources: list[Source], out: Path, how: Preparation, workers: int, tell: OnProgress
) -> None:
    if (out / PROGRESS).exists():
        progress = _read_progress(out)
        _same_settings(out, progress.settings, how)
        _same_sources(out, progress.sources, sources)
        _unchanged(progress.sources, sources)
        tokenizer = load_tokenizer(_text_of(out / TOKENIZER))
    else:
        tokenizer, noted = _first_pass(sources, how, tell)
        write_whole(out / TOKENIZER, tokenizer.to_json())
        progress = _Progress(dataclasses.asdict(how), noted)
        _write_progress(out, progress)
    _second_pass(progress, out, how, tokenizer, workers, tell)
    _finish(progress, out, tokenizer)


def _first_pass(
    sources: Sequence[Source], how: Preparation, tell: OnProgress
) -> tuple[Tokenizer, list[dict[str, Any]]]:
    """The tokenizer, and the sources with their digests. Finds every byte that is no text."""
    learner = learner_of(how.tokenizer, how.vocab_size)
    total, before, noted = sum(s.bytes for s in sources), 0, []
    documents = 0
    for source in sources:
        reader = SourceReader(source.path, how.field, how.piece)
        for text in reader:
            documents += 1
            _learn(learner, text, how.held_out, source.path)
            tell("reading", before + reader.bytes_read, total)
        if reader.bytes_read != source.bytes:
            raise _changed(source.path)
        before += source.bytes
        noted.append({**dataclasses.asdict(source), "sha256": reader.sha256})
    if not documents:
        raise DataError(explain("prepare", "there is no text in the sources: all are empty"))
    tell("learning the tokenizer", total, total)
    return learner.made(), noted


def _learn(learner: Learner, text: str, held_out: float, path: str) -> None:
    """Characters must all be known; of merges nothing that is held out is learnt from."""
    if learner.reads == EVERY or (learner.reads == LEARNING and not is_held_out(text, held_out)):
        try:
            learner.read(text)
        except DataError as error:
            raise DataError(f"text {path}: {error}") from None


def _second_pass(
    progress: _Progress,
    out: Path,
    how: Preparation,
    tokenizer: Tokenizer,
    workers: int,
    tell: OnProgress,
) -> None:
    """Shards of what is left of the sources. A shard ends behind a document."""
    part = _Part(tokenizer.vocab_size)
    total = sum(s["bytes"] for s in progress.sources)
    documents = _documents(progress, how, lambda done: tell("encoding", done, total))
    with contextlib.closing(encoded(documents, tokenizer, how.held_out, workers)) as results:
        for (source, document), one in results:
            part.add(one)
            if part.tokens >= how.shard_tokens or part.documents >= MOST_DOCUMENTS:
                part.write(out, progress)
                progress.source, progress.document = source, document + 1
                _write_progress(out, progress)
                part = _Part(tokenizer.vocab_size)
    if part.documents:
        part.write(out, progress)
        progress.source, progress.document = len(progress.sources), 0
        _write_progress(out, progress)


def _documents(
    progress: _Progress, how: Preparation, tell: Callable[[int], None]
) -> Iterator[tuple[tuple[int, int], str]]:
    """((source, document in it), text) from where the progress stands.

    A source is read from its beginning, for its digest; what was done of it is passed over.
    """
    first, done = progress.source, progress.document
    before = sum(s["bytes"] for s in progress.sources[:first])
    for number in range(first, len(progress.sources)):
        source = progress.sources[number]
        reader = SourceReader(source["path"], how.field, how.piece)
        for document, text in enumerate(reader):
            if number > first or document >= done:
                yield (number, document), text
                tell(before + reader.bytes_read)
        if reader.sha256 != source["sha256"]:
            raise _changed(source["path"])
        before += source["bytes"]


class _Part:
    """Documents that become one shard on each side."""

    def __init__(self, vocab_size: int) -> None:
        self.dtype = np.dtype(dtype_of(vocab_size)).newbyteorder("<")
        self.tokens = self.documents = 0
        self._encoded: dict[str, list[Encoded]] = {side: [] for side in SIDES}

    def add(self, one: Encoded) -> None:
        self._encoded[SIDES[one.is_held_out]].append(one)
        self.tokens += len(one.tokens)
        self.documents += 1

    def write(self, out: Path, progress: _Progress) -> None:
        """Both sides, whole, and what they are into the progress, which is not written here."""
        for side, some in self._encoded.items():
            kept = [one.tokens for one in some]
            tokens = np.concatenate([np.empty(0, self.dtype), *kept])
            borders = np.cumsum([len(t) for t in kept], dtype=np.int64)
            raw = tokens.astype(self.dtype).tobytes()
            ends = borders.astype("<u8").tobytes()
            shard = Shard(
                side,
                progress.parts,
                len(tokens),
                len(borders),
                sum(one.characters for one in some),
                hashlib.sha256(raw).hexdigest(),
                hashlib.sha256(ends).hexdigest(),
            )
            write_whole(out / shard.tokens_name, raw)
            write_whole(out / shard.borders_name, ends)
            progress.shards.append(dataclasses.asdict(shard))
        progress.parts += 1


def _finish(progress: _Progress, out: Path, tokenizer: Tokenizer) -> None:
    for side in SIDES:
        if not sum(s["tokens"] for s in progress.shards if s["side"] == side):
            documents = sum(s["documents"] for s in progress.shards)
            part = "held-out part" if side == "held_out" else "part to learn from"
            what = f"none of {documents} documents fell into the {part}"
            share = "a larger" if side == "held_out" else "a smaller"
            remedy = f"use more text, {share} --held-out or a smaller --piece, in another folder"
            raise DataError(explain(str(out), what, remedy=remedy))
    fields = {
        "dtype": dtype_of(tokenizer.vocab_size),
        "vocab_size": tokenizer.vocab_size,
        "tokenizer": hashlib.sha256(read_bytes(out / TOKENIZER)).hexdigest(),
        "settings": progress.settings,
        "sources": [{k: s[k] for k in ("path", "bytes", "sha256")} for s in progress.sources],
        "shards": progress.shards,
    }
    write_whole(out / HEADER, header_text(fields))


def _check_folder(out: Path) -> None:
    """Takes away files that a kill left half written. Errors: DataError for a folder of others."""
    names = [p.name for p in out.iterdir()]
    others = [name for name in names if not name.startswith(".")]
    if others and not {HEADER, PROGRESS, TOKENIZER}.intersection(others):
        what = f"holds other files, such as {min(others)}, and no data set"
        raise DataError(explain(str(out), what, remedy="choose a new folder"))
    for name in names:
        if name.startswith(tuple(f".{ours}" for ours in (HEADER, PROGRESS, TOKENIZER, *SIDES))):
            (out / name).unlink()


def _read_progress(out: Path) -> _Progress:
    path = out / PROGRESS
    try:
        found = _Progress(**parse_json(_text_of(path)))
        for fields in found.shards:
            Shard(**fields)
    except (ValueError, TypeError) as error:
        raise _damaged(path, error) from None
    return found


def _text_of(path: Path) -> str:
    """A file of the folder that is gone on with: anyone may have written it. Errors: DataError."""
    try:
        return read_text(path)
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> DataError:
    remedy = "delete the folder and begin anew"
    return DataError(explain(str(path), f"is damaged: {error}", remedy=remedy))


def _write_progress(out: Path, progress: _Progress) -> None:
    write_whole(out / PROGRESS, json.dumps(dataclasses.asdict(progress)))


def _same_settings(out: Path, found: dict[str, Any], how: Preparation) -> None:
    for name, value in dataclasses.asdict(how).items():
        if found.get(name) != value:
            what = f"was begun with {name} {found.get(name)!r}, not {value!r}"
            remedy = "use the same settings, or another --out"
            raise DataError(explain(str(out), what, remedy=remedy))


def _same_sources(out: Path, noted: list[dict[str, Any]], sources: Sequence[Source]) -> None:
    """The same files in the same order; their contents are not looked at."""
    then, now = [s["path"] for s in noted], [s.path for s in sources]
    if then == now:
        return
    differing = sorted(set(then) ^ set(now)) or now
    word = "in another order" if set(then) == set(now) else "new" if differing[0] in now else "gone"
    what = (
        f"was begun with {len(then)} files, and now there are {len(now)}: {differing[0]} is {word}"
    )
    remedy = "give the same texts, or another --out"
    raise DataError(explain(str(out), what, remedy=remedy))


def _unchanged(noted: list[dict[str, Any]], sources: Sequence[Source]) -> None:
    """Sizes, and digests of what was written to since. Errors: DataError with the file."""
    for then, now in zip(noted, sources, strict=True):
        if then["bytes"] == now.bytes and then["changed"] == now.changed:
            continue
        if then["bytes"] != now.bytes or _sha256(now.path) != then["sha256"]:
            raise _changed(now.path)


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _changed(path: str) -> DataError:
    what = "has changed since this data set was begun"
    remedy = "put it back as it was, or begin anew in another folder"
    return DataError(explain(f"text {path}", what, remedy=remedy))
