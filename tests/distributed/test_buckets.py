"""Buckets: every element of every parameter belongs to one rank."""

from __future__ import annotations

import numpy as np
from hypothesis import given, strategies as st

from tinygrad_tx.distributed.buckets import ALIGNMENT, buckets_of

SIZES = st.lists(st.integers(0, 200), min_size=1, max_size=12)


@given(SIZES, st.integers(1, 7), st.integers(1, 500), st.randoms(use_true_random=False))
def test_every_element_has_one_owner_and_one_place(sizes, ranks, least, random) -> None:
    order = list(range(len(sizes)))
    random.shuffle(order)
    owners = [np.zeros(size, int) for size in sizes]
    for bucket in buckets_of(sizes, order, ranks, least):
        flat = np.repeat(bucket.parameters, bucket.sizes)
        for rank in range(ranks):
            used = 0
            for piece in bucket.pieces(rank):
                owners[piece.parameter][piece.low : piece.high] += 1
                assert piece.start == used
                used += piece.high - piece.low
                at = rank * bucket.share + piece.start
                assert (flat[at : at + piece.high - piece.low] == piece.parameter).all()
            assert used <= bucket.share
    assert all((count == 1).all() for count in owners)


@given(SIZES, st.integers(1, 7), st.integers(1, 500))
def test_buckets_are_as_large_as_asked_but_for_the_last(sizes, ranks, least) -> None:
    order = list(range(len(sizes)))
    found = buckets_of(sizes, order, ranks, least)
    assert [p for b in found for p in b.parameters] == order
    assert all(sum(b.sizes) >= least for b in found[:-1])
    assert all(b.share % ALIGNMENT == 0 and b.padding >= 0 for b in found)


@given(st.integers(1, 10**6), st.integers(1, 8))
def test_shares_are_equal_but_for_padding(size, ranks) -> None:
    (bucket,) = buckets_of([size], [0], ranks, 1)
    assert bucket.padding < ranks * ALIGNMENT
