"""The schedule of a pipeline, played: every pass once, nothing early, the published bubble."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies as st

from tinygrad_tx.sizing.schedule import schedule


@given(
    st.integers(1, 8), st.integers(1, 5), st.integers(1, 4), st.floats(0.1, 3), st.floats(0.1, 3)
)
@settings(max_examples=60, deadline=None)
def test_the_bubble_is_that_of_narayanan(
    pipeline: int, groups: int, chunks: int, forward: float, backward: float
) -> None:
    """(p - 1) (tf + tb) / v beside m (tf + tb): Narayanan et al. 2021, section 2.2."""
    chunks = chunks if pipeline > 1 else 1
    microbatches = groups * pipeline
    passes = schedule(pipeline, microbatches, chunks, forward, backward)
    whole = max(p.end for p in passes)
    busy = microbatches * chunks * (forward + backward)
    assert whole - busy == pytest.approx((pipeline - 1) * (forward + backward), abs=1e-6)


@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_each_pass_runs_once_after_what_it_reads(pipeline: int, groups: int, chunks: int) -> None:
    chunks = chunks if pipeline > 1 else 1
    microbatches = groups * pipeline
    passes = schedule(pipeline, microbatches, chunks)
    found = {(p.chunk * pipeline + p.device, p.microbatch, p.is_forward): p for p in passes}
    assert len(found) == len(passes) == 2 * pipeline * microbatches * chunks
    last = pipeline * chunks - 1
    for (place, microbatch, is_forward), p in found.items():
        if is_forward and place > 0:
            assert found[place - 1, microbatch, True].end <= p.start
        if not is_forward:
            before = (place, True) if place == last else (place + 1, False)
            assert found[before[0], microbatch, before[1]].end <= p.start
    for device in range(pipeline):
        mine = sorted((p.start, p.end) for p in passes if p.device == device)
        assert all(a[1] <= b[0] for a, b in pairwise(mine))


@given(st.integers(2, 6), st.integers(1, 9))
@settings(max_examples=20, deadline=None)
def test_fewer_microbatches_than_devices_still_end(pipeline: int, microbatches: int) -> None:
    passes = schedule(pipeline, microbatches)
    assert max(p.end for p in passes) == pytest.approx(3.0 * (microbatches + pipeline - 1))
