"""Windows of token files: each once in an epoch, resumed at the exact row, by weight."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from tinygrad_tx.data import Mixture, TokenSide, TokenWindows
from tinygrad_tx.data.token_set import Shard
from tinygrad_tx.errors import DataError

here = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def side_of(folder: Path, shards: Sequence[Sequence[int]], first: int = 0) -> TokenSide:
    """Documents of these lengths in each shard; every token is its own place: a window says where
    it is from."""
    folder.mkdir(exist_ok=True)
    known = []
    for number, lengths in enumerate(shards):
        tokens = np.arange(first, first + sum(lengths))
        first += sum(lengths)
        shard = Shard("learning", number, len(tokens), len(lengths), 0, "", "")
        (folder / shard.tokens_name).write_bytes(tokens.astype("<u4").tobytes())
        (folder / shard.borders_name).write_bytes(np.cumsum(lengths).astype("<u8").tobytes())
        known.append(shard)
    return TokenSide(folder, known, "uint32", first)


SHARDS = st.lists(st.lists(st.integers(0, 40), max_size=6), min_size=1, max_size=4)


@here
@given(SHARDS, st.integers(1, 9), st.integers(1, 5), st.integers(0, 3), st.booleans())
def test_an_epoch_is_every_window_once_and_no_window_crosses_a_border(
    tmp_path: Path, shards: list[list[int]], context: int, batch: int, seed: int, documents: bool
) -> None:
    side = side_of(tmp_path, shards)
    spans = [n for shard in shards for n in (shard if documents else [sum(shard)])]
    ends = np.cumsum(spans)
    if not any(n > context for n in spans):
        with pytest.raises(DataError, match="one window and its target"):
            TokenWindows(side, batch, context, seed, documents)
        return
    windows = TokenWindows(side, batch, context, seed, documents)
    for epoch in range(3):
        rows = windows.rows(np.arange(len(windows)) + epoch * len(windows))
        assert (np.diff(rows, axis=1) == 1).all()
        first, last = (np.searchsorted(ends, rows[:, i], side="right") for i in (0, -1))
        assert (first == last).all()
        starts = np.sort(rows[:, 0])
        assert (np.diff(starts) >= context).all()  # none overlaps another by more than a target
        # As many as fit, but for one where there are many.
        fits = sum(max(0, (n - 1) // context) for n in spans)
        assert fits - sum(n > 100 * context for n in spans) <= len(windows) <= fits


def test_epochs_differ_in_order_and_in_where_windows_begin(tmp_path: Path) -> None:
    windows = TokenWindows(side_of(tmp_path, [[3000], [2000]]), 10, 16)
    epochs = [windows.rows(np.arange(len(windows)) + e * len(windows))[:, 0] for e in range(6)]
    assert len({tuple(e) for e in epochs}) == 6
    assert len({min(e) for e in epochs}) > 3
    seen = np.zeros(5000, bool)
    for epoch in epochs:
        seen[(epoch[:, None] + np.arange(17)).ravel()] = True
    assert seen.mean() > 0.99


def test_draws_are_rows_in_order_and_epochs_are_counted(tmp_path: Path) -> None:
    windows = TokenWindows(side_of(tmp_path, [[170]]), 4, 8, seed=5)
    rows = windows.rows(np.arange(60))
    for i in range(15):
        assert windows.epoch == i * 4 // len(windows)
        tokens, targets = windows.draw()
        assert tokens.shape == targets.shape == (4, 8)
        assert tokens.dtype == targets.dtype == np.int64
        np.testing.assert_array_equal(tokens, rows[i * 4 : i * 4 + 4, :-1])
        np.testing.assert_array_equal(targets, rows[i * 4 : i * 4 + 4, 1:])


@pytest.mark.parametrize("stop", [0, 1, 7, 40])
@pytest.mark.parametrize("mixed", [False, True])
def test_what_is_restored_draws_on_at_the_exact_row(tmp_path: Path, stop: int, mixed: bool) -> None:
    def source(seed: int = 1) -> TokenWindows | Mixture:
        one = TokenWindows(side_of(tmp_path / "one", [[500], [300]]), 3, 8, seed)
        if not mixed:
            return one
        two = TokenWindows(side_of(tmp_path / "two", [[200]]), 3, 8, seed)
        return Mixture([one, two], [0.7, 0.1])

    whole, part = source(), source()
    for _ in range(stop):
        whole.draw(), part.draw()
    again = source()
    state = part.state()
    assert len(state) < 400
    again.restore(state)
    for _ in range(50):
        for a, b in zip(whole.draw(), again.draw(), strict=True):
            np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="it is of"):
        source(seed=2).restore(state)
    for damaged in ("", "{}", json.dumps({**json.loads(state), "rows": -1})):
        with pytest.raises((KeyError, ValueError, TypeError)):
            source().restore(damaged)


def test_in_order_is_the_same_each_time_and_spread_evenly(tmp_path: Path) -> None:
    windows = TokenWindows(side_of(tmp_path, [[4001]]), 5, 10)
    windows.draw()
    for most, count in ((None, 79), (7, 7), (1000, 79)):
        found = [list(windows.in_order(most)) for _ in range(2)]
        np.testing.assert_array_equal(found[0], found[1])
        assert len(found[0]) == count
        starts = np.concatenate([tokens[:, 0] for tokens, _ in found[0]])
        assert (np.diff(np.diff(starts)) <= 10).all()
        assert starts[0] == 0
        assert starts[-1] > 3800
    few = TokenWindows(side_of(tmp_path, [[25]]), 5, 10)
    assert next(few.in_order())[0].shape == (5, 10)


@here
@given(st.lists(st.floats(0.01, 5), min_size=1, max_size=4), st.integers(1, 7))
def test_each_part_of_a_mixture_has_its_share_at_any_time(
    tmp_path: Path, weights: list[float], batch: int
) -> None:
    sides = [side_of(tmp_path / str(i), [[90]], first=1000 * i) for i in range(len(weights))]
    mixture = Mixture([TokenWindows(s, batch, 8) for s in sides], weights)
    shares, counts = np.array(weights) / sum(weights), np.zeros(len(weights))
    for _ in range(40):
        tokens, _ = mixture.draw()
        counts += np.bincount(tokens[:, 0] // 1000, minlength=len(weights))
        assert (counts - shares * counts.sum()).max() < 1 + 1e-9
        assert (shares * counts.sum() - counts).max() < max(1, len(weights) - 1)
    validation = np.concatenate([tokens[:, 0] for tokens, _ in mixture.in_order(6)])
    counts = np.bincount(validation // 1000, minlength=len(weights))
    assert abs(counts - shares * len(validation)).max() < len(weights)


@pytest.mark.parametrize("weights", [[], [1.0], [1.0, 0.0], [1.0, -1.0], [1.0, float("nan")]])
def test_mixtures_that_make_no_sense_are_refused(tmp_path: Path, weights: list[float]) -> None:
    part = TokenWindows(side_of(tmp_path, [[90]]), 2, 8)
    with pytest.raises(DataError, match="Mixture"):
        Mixture([part, part], weights)
    with pytest.raises(DataError, match="differ in batch or context"):
        Mixture([part, TokenWindows(part.side, 2, 9)], [1, 1])


def test_borders_that_fall_are_refused(tmp_path: Path) -> None:
    side = side_of(tmp_path, [[20, 30, 40]])
    path = tmp_path / side.shards[0].borders_name
    path.write_bytes(np.array([50, 20, 90], "<u8").tobytes())
    with pytest.raises(DataError, match="do not rise"):
        TokenWindows(side, 2, 8, documents=True)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux for its memory")
def test_memory_stays_bounded_however_much_of_a_file_is_drawn(tmp_path: Path) -> None:
    """A file of 512 MB with a window drawn of every 64 KB of it."""
    count = 1 << 27
    shard = Shard("learning", 0, count, 1, 0, "", "")
    with (tmp_path / shard.tokens_name).open("wb") as file:
        file.truncate(4 * count)  # zeros that take no room
    windows = TokenWindows(TokenSide(tmp_path, [shard], "uint32", 9), 64, 16_384)
    before, most = resident(), 0
    for _ in range(len(windows) // 64):
        windows.draw()
        most = max(most, resident())
    assert most - before < 100e6


def resident() -> int:
    """Bytes of memory that this process has in use, mapped files too."""
    words = Path("/proc/self/status").read_text().split("VmRSS:")[1].split()
    return int(words[0]) * 1024
