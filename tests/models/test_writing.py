"""Text comes piece by piece and ends before the first stop string."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, strategies as st

from tinygrad_tx.data import ByteTokenizer
from tinygrad_tx.errors import DataError
from tinygrad_tx.models import write


class Reciter:
    """Goes on with the bytes of a given text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def generate(self, tokens: Sequence[int], max_new_tokens: int, **options: Any) -> Iterator[int]:
        assert not options["stop"]
        return iter(list(self.text.encode())[:max_new_tokens])


@given(
    text=st.text(alphabet="abé漢👩", max_size=30),
    stop=st.lists(st.text("ab漢", min_size=1), max_size=3),
)
def test_the_pieces_are_the_text_before_the_first_stop(text: str, stop: list[str]) -> None:
    pieces = list(write(Reciter(text), ByteTokenizer(), "x", 1000, stop))
    # The one that is complete first; of several at once the one that begins first.
    seen = next((text[:n] for n in range(len(text) + 1) if any(s in text[:n] for s in stop)), "")
    ends = [seen.find(s) for s in stop if s in seen]
    assert "".join(pieces) == (seen[: min(ends)] if ends else text)
    assert not any("\N{REPLACEMENT CHARACTER}" in p for p in pieces)


def test_a_text_cut_within_a_character_ends_there() -> None:
    assert "".join(write(Reciter("漢"), ByteTokenizer(), "x", 2)) != "漢"


@pytest.mark.parametrize(("prompt", "stop"), [("", ()), ([], ()), ("x", ("",))])
def test_nothing_to_begin_or_to_end_with_is_refused(prompt: Any, stop: Any) -> None:
    with pytest.raises(DataError, match="empty"):
        write(Reciter("a"), ByteTokenizer(), prompt, 3, stop)
