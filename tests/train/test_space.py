"""What a search tries: all combinations, or points drawn by seed; and what is refused."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.stats import kstest

from tinygrad_tx.errors import DataError
from tinygrad_tx.train import Halving, Space
from tinygrad_tx.train.space import Choice, Range

whole = st.integers(1, 10**6)
spaces = st.dictionaries(
    st.sampled_from(["width", "learning_rate", "heads", "dropout"]),
    st.one_of(
        st.lists(whole, min_size=1, max_size=4, unique=True),
        st.tuples(whole, whole).filter(lambda p: p[0] < p[1]).map(lambda p: f"{p[0]}..{p[1]}"),
        st.tuples(st.floats(1e-6, 1.0), st.floats(1.5, 100)).map(lambda p: f"{p[0]}..{p[1]}"),
    ),
    min_size=1,
    max_size=3,
)


def test_a_grid_is_all_combinations_with_the_last_name_fastest() -> None:
    points = Space.of(rate="0.1,1e-3", width="16,32").grid()
    assert points == [
        {"rate": 0.1, "width": 16},
        {"rate": 0.1, "width": 32},
        {"rate": 0.001, "width": 16},
        {"rate": 0.001, "width": 32},
    ]


@given(spaces, st.integers(0, 99), st.integers(1, 12))
def test_points_lie_in_the_space_none_twice_and_more_of_them_begin_with_the_same(
    given: dict[str, str | list[int]], seed: int, count: int
) -> None:
    space = Space.of(**given)
    points = space.draw(count, seed)
    assert points == space.draw(count + 5, seed)[: len(points)]
    assert len({tuple(p.values()) for p in points}) == len(points)
    size = math.prod(axis.size for axis in space.axes.values())
    assert len(points) == min(count, size)
    for point in points:
        for name, axis in space.axes.items():
            if isinstance(axis, Choice):
                assert point[name] in axis.values
            else:
                assert axis.low <= point[name] <= axis.high
                assert isinstance(point[name], int) == axis.is_whole


@given(spaces)
def test_a_space_comes_back_from_its_text(given: dict[str, str | list[int]]) -> None:
    space = Space.of(**given)
    assert Space.of(**space.text()) == space


@pytest.mark.parametrize(
    ("spec", "is_log"),
    [
        ("1e-4..1e-2", True),
        ("1..10", True),
        ("1..9", False),
        ("0..100", False),
        ("-1..100", False),
        ("log:1..2", True),
        ("linear:1e-4..1", False),
    ],
)
def test_ends_that_are_far_apart_are_drawn_from_by_their_logarithm(spec: str, is_log: bool) -> None:
    axis = Space.of(rate=spec).axes["rate"]
    assert isinstance(axis, Range)
    assert axis.is_log == is_log


@pytest.mark.parametrize(("spec", "scale"), [("log:1e-4..1e-1", np.log), ("0.0..5.0", np.asarray)])
def test_draws_are_uniform_on_their_scale(spec: str, scale: object) -> None:
    """Kolmogorov and Smirnov's test against the uniform distribution."""
    space = Space.of(rate=spec)
    axis = space.axes["rate"]
    assert isinstance(axis, Range)
    drawn = np.array([p["rate"] for p in space.draw(2000, seed=3)])
    values, (low, high) = scale(drawn), scale(np.array([axis.low, axis.high]))  # type: ignore[operator]  # a ufunc
    assert kstest((values - low) / (high - low), "uniform").pvalue > 0.01


def test_whole_numbers_are_drawn_with_both_ends_as_often_as_others() -> None:
    axis = Space.of(layers="linear:1..4").axes["layers"]
    rng = np.random.default_rng(0)
    counts = np.bincount([axis.draw(rng) for _ in range(4000)], minlength=5)[1:]
    assert (abs(counts - 1000) < 120).all()  # more than four standard deviations


def test_a_range_with_few_numbers_of_six_digits_ends() -> None:
    assert 1 <= len(Space.of(rate="1.0..1.0001").draw(50)) < 50


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("", "empty"),
        ("1,,2", "empty"),
        ("1,1", "twice"),
        ("2..1", "smaller one first"),
        ("1..1", "smaller one first"),
        ("nan..1", "no range"),
        ("1..inf", "no range"),
        ("-inf..1", "finite"),
        ("log:0..1", "logarithm"),
        ("log:-1..1", "logarithm"),
        ("log:a..b", "no range"),
    ],
)
def test_what_is_no_space_is_refused(spec: str, said: str) -> None:
    with pytest.raises(DataError, match=rf"--vary rate.*{said}"):
        Space.of(rate=spec)


def test_paths_with_dots_are_values() -> None:
    axis = Space.of(text="../a.txt,../b.txt").axes["text"]
    assert axis == Choice(("../a.txt", "../b.txt"))


def test_grids_of_ranges_or_without_end_are_refused() -> None:
    with pytest.raises(DataError, match="--random"):
        Space.of(rate="1..2").grid()
    many = {name: tuple(range(11)) for name in "abcd"}
    with pytest.raises(DataError, match=r"14,641 trials"):
        Space.of(**many).grid()
    with pytest.raises(DataError, match="nothing varies"):
        Space.of()


@given(st.integers(1, 10_000), st.integers(1, 600), st.data())
def test_rungs_double_up_to_half_of_the_steps(steps: int, trials: int, data: st.DataObject) -> None:
    least = data.draw(st.integers(1, steps))
    rungs = Halving(steps, least).rungs(trials)
    assert all(b == 2 * a for a, b in itertools.pairwise(rungs))
    assert all(least <= r <= steps / 2 for r in rungs)
    assert trials / 2 ** len(rungs) > 0.5  # not more halvings than it takes to leave one


@given(st.dictionaries(st.integers(0, 50), st.floats(0, 10) | st.just(math.inf), min_size=1))
def test_the_worse_half_ends(losses: dict[int, float]) -> None:
    ended = Halving(8, 1).worse_half(losses)
    kept = losses.keys() - set(ended)
    assert len(kept) == max(1, len(losses) // 2)
    assert max(losses[i] for i in kept) <= min((losses[i] for i in ended), default=math.inf)
