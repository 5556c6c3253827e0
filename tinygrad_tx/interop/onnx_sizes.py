"""Sizes that stay open in an exported graph: polynomials in the sizes of the inputs.

Our graphs are made for one shape. What a size of theirs is in general is found by recording the
function at several sizes: a number that is the same in all is fixed, and one that changes must be a
whole polynomial in the open sizes that fits every recording, more of them than it has unknowns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import prod

import numpy as np

__all__ = ["Dim", "Size", "dims_text", "fitted", "recordings_for", "sizes_to_try"]

HIGHEST_DEGREE = 3  # batch x time x time, as scores laid flat
SPARE = 2  # recordings beside those that determine a sum


@dataclass(frozen=True)
class Size:
    """A sum of products of open sizes. terms: (names, coefficient), names in order; no zeros."""

    terms: tuple[tuple[tuple[str, ...], int], ...]

    def at(self, sizes: Mapping[str, int]) -> int:
        """Its value where the open sizes have these."""
        return sum(c * prod(sizes[n] for n in names) for names, c in self.terms)

    def __str__(self) -> str:
        words = []
        for names, c in self.terms:
            factors = [*([str(c)] if c != 1 or not names else []), *names]
            words.append("*".join(factors))
        return " + ".join(words).replace("+ -", "- ")


Dim = int | Size


def dims_text(shape: Sequence[Dim]) -> str:
    """`batch x 4 x time`."""
    return " x ".join(map(str, shape)) or "one number"


def fitted(values: Sequence[int], sizes: Sequence[Mapping[str, int]]) -> Dim | None:
    """What gives `values[i]` where the open sizes are `sizes[i]`, for all i; None if nothing does.

    A fixed number, a sum of multiples of the open sizes and a number, or a multiple of a product of
    at most three of them.
    """
    if len(set(values)) == 1:
        return int(values[0])
    names = sorted(sizes[0])
    for degree in range(1, HIGHEST_DEGREE + 1):
        for chosen in combinations_with_replacement(names, degree):
            product = [prod(s[n] for n in chosen) for s in sizes]
            factor, rest = divmod(values[0], product[0])
            if not rest and all(v == factor * p for v, p in zip(values, product, strict=True)):
                return Size(((chosen, factor),))
    return _sum(values, sizes, names)


def _sum(
    values: Sequence[int], sizes: Sequence[Mapping[str, int]], names: Sequence[str]
) -> Size | None:
    rows = np.array([[*(s[n] for n in names), 1] for s in sizes], np.float64)
    solution = np.linalg.lstsq(rows, np.array(values, np.float64), rcond=None)[0]
    whole = [int(c) for c in np.rint(solution)]
    keys = [*((n,) for n in names), ()]
    size = Size(tuple((k, c) for k, c in zip(keys, whole, strict=True) if c))
    return size if all(size.at(s) == v for s, v in zip(sizes, values, strict=True)) else None


def recordings_for(names: Sequence[str]) -> int:
    """How many recordings determine a sum of these open sizes, and more than prove it by chance."""
    return len(names) + 1 + SPARE if names else 1


def sizes_to_try(
    examples: Mapping[str, int], taken: set[int], attempt: int = 0
) -> list[dict[str, int]]:
    """Open sizes for each recording: unlike one another and, where possible, unlike `taken`.

    examples: those of the example inputs. A size is tried below its example, which may be the
    longest that a model takes; a small one also above.
    """
    rng = np.random.default_rng([2025, attempt])
    count = recordings_for(list(examples))
    for taken_too in (taken, set[int]()):
        for _ in range(50):
            found = [_drawn(examples, taken_too, rng) for _ in range(count)]
            whole = [f for f in found if f]
            rows = np.array([[*f.values(), 1] for f in whole])
            if len(whole) == count and np.linalg.matrix_rank(rows) == len(examples) + 1:
                return whole
    return []


def _drawn(
    examples: Mapping[str, int], taken: set[int], rng: np.random.Generator
) -> dict[str, int]:
    """One choice of sizes; empty where there are too few."""
    chosen: dict[str, int] = {}
    for name, example in examples.items():
        highest = example if example >= 6 else 12
        most = [n for n in range(2, highest) if n not in taken and n not in chosen.values()]
        if not most:
            return {}
        chosen[name] = int(rng.choice(most))
    return chosen
