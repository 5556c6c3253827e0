"""Documents to tokens, in this process or in several, in the order in which they came."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any, TypeVar

import numpy as np

from tinygrad_tx.data.snownlp import is_held_out
from tinygrad_tx.data.token_set import dtype_of
from tinygrad_tx.data.tokenizers import Tokenizer, load_tokenizer

__all__ = ["Encoded", "encoded"]

Key = TypeVar("Key")
CHARACTERS = 1 << 18
"""Of the documents that a process gets at once."""


@dataclass(frozen=True)
class Encoded:
    """A document. tokens: in the dtype of the file."""

    tokens: np.ndarray[Any, Any]
    characters: int
    is_held_out: bool


def encoded(
    documents: Iterable[tuple[Key, str]], tokenizer: Tokenizer, held_out: float, workers: int = 1
) -> Generator[tuple[Key, Encoded], None, None]:
    """(key, Encoded) of each (key, document). At most two portions for each worker are in memory.

    Errors: DataError for a character that the tokenizer does not know.
    """
    dtype = dtype_of(tokenizer.vocab_size)
    if workers <= 1:
        for key, text in documents:
            yield key, _encode(tokenizer, text, held_out, dtype)
        return
    # Not forked: the tokenizer has threads of its own, which a forked process would lack.
    pool = ProcessPoolExecutor(
        workers,
        multiprocessing.get_context("spawn"),
        _start,
        (tokenizer.to_json(), held_out, dtype),
    )
    try:
        waiting: deque[tuple[list[Key], Future[list[Encoded]]]] = deque()
        for keys, texts in _portions(documents):
            waiting.append((keys, pool.submit(_encode_all, texts)))
            if len(waiting) >= 2 * workers:
                done, results = waiting.popleft()
                yield from zip(done, results.result(), strict=True)
        for done, results in waiting:
            yield from zip(done, results.result(), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)


def _portions(documents: Iterable[tuple[Key, str]]) -> Iterator[tuple[list[Key], list[str]]]:
    keys: list[Key] = []
    texts: list[str] = []
    size = 0
    for key, text in documents:
        keys.append(key)
        texts.append(text)
        size += len(text)
        if size >= CHARACTERS:
            yield keys, texts
            keys, texts, size = [], [], 0
    if keys:
        yield keys, texts


def _encode(tokenizer: Tokenizer, text: str, held_out: float, dtype: str) -> Encoded:
    tokens = tokenizer.encode(text).astype(dtype)
    return Encoded(tokens, len(text), is_held_out(text, held_out))


_worker: tuple[Tokenizer, float, str]
"""Of a worker process: what it encodes with."""


def _start(tokenizer: str, held_out: float, dtype: str) -> None:
    """Begins a worker, which ends with its parent, however that ends, and leaves Ctrl-C to it."""
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None  # a pool started it

    def end_with(sentinel: int) -> None:
        wait([sentinel])
        os._exit(1)

    threading.Thread(target=end_with, args=(parent.sentinel,), daemon=True).start()
    _worker = (load_tokenizer(tokenizer), held_out, dtype)


def _encode_all(texts: list[str]) -> list[Encoded]:
    tokenizer, held_out, dtype = _worker
    return [_encode(tokenizer, text, held_out, dtype) for text in texts]
