"""An order of n things that is computed, not kept: place to thing, one by one, in no memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_tx.errors import DataError, explain

__all__ = ["Permutation"]

ROUNDS = 8
"""Four look random to who may ask little (Luby and Rackoff 1988); tiny halves want more."""


class Permutation:
    """A bijection of [0, size) that looks random, chosen by integers `key`.

    A Feistel network on the smallest even number of bits that holds `size`, walked along its cycle
    until it is inside: fewer than 4 walks are expected, as the network's domain is below 4 size.
    Source: Black and Rogaway 2002, "Ciphers with arbitrary finite domains", section 4; the round
    function is the mix of splitmix64 (Steele, Lea and Flood 2014). It keeps no secret.
    """

    def __init__(self, size: int, *key: int) -> None:
        if not 0 < size <= 1 << 62:
            raise DataError(explain("Permutation", f"a size of {size} is not in 1..2**62"))
        self.size = size
        self._half = np.uint64(max(1, ((size - 1).bit_length() + 1) // 2))
        self._mask = np.uint64((1 << int(self._half)) - 1)
        self._keys = np.random.SeedSequence([k % (1 << 64) for k in key]).generate_state(
            ROUNDS, np.uint64
        )

    def __call__(self, places: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """int64 things at `places`, an array of integers in [0, size) of any shape."""
        found = self._network(np.asarray(places).astype(np.uint64))
        outside = found >= self.size
        while outside.any():
            found[outside] = self._network(found[outside])
            outside = found >= self.size
        return found.astype(np.int64)

    def _network(self, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """(left, right) -> (right, left ^ F(right)), ROUNDS times: a bijection whatever F is."""
        left, right = values >> self._half, values & self._mask
        for key in self._keys:
            left, right = right, left ^ (_mixed(right + key) & self._mask)
        return (left << self._half) | right


def _mixed(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """splitmix64: each bit of a result depends on all of its argument."""
    values = values * np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray[Any, Any] = values ^ (values >> np.uint64(31))
    return mixed
