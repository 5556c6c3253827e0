"""Ctrl-C while training: the running step is finished and saved."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["interruptible"]

ECHO_SECONDS = 1.0


@contextmanager
def interruptible(by_several: bool) -> Iterator[threading.Event]:
    """Ctrl-C sets the event; a second one interrupts at once.

    A launcher may pass Ctrl-C on as SIGTERM, and the terminal may send it as well: for several
    ranks both mean the same, and what comes at once after the first is no second one.
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    first = 0.0

    def on_interrupt(number: int, frame: Any) -> None:
        nonlocal first
        if event.is_set() and (not by_several or time.monotonic() - first > ECHO_SECONDS):
            raise KeyboardInterrupt
        if not event.is_set():
            first = time.monotonic()
        event.set()

    kinds = (signal.SIGINT, signal.SIGTERM) if by_several else (signal.SIGINT,)
    before = [signal.signal(kind, on_interrupt) for kind in kinds]
    try:
        yield event
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)
