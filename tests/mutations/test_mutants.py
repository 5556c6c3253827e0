"""Every mutant is caught by the suite with its default budget, and nothing else is."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
for _name in ("mutants", "compiler_mutants", "suite"):
    if _name not in sys.modules:
        _spec = importlib.util.spec_from_file_location(_name, HERE / f"{_name}.py")
        assert _spec is not None
        assert _spec.loader is not None
        sys.modules[_name] = importlib.util.module_from_spec(_spec)
        _spec.loader.exec_module(sys.modules[_name])

from mutants import MUTANTS, Mutant  # noqa: E402  # made importable just above
from suite import run_suite  # noqa: E402  # as above


def test_there_are_enough_mutants_and_no_two_alike() -> None:
    assert len(MUTANTS) >= 40
    assert len({m.name for m in MUTANTS}) == len(MUTANTS)


@pytest.mark.slow
@pytest.mark.gradcheck
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_the_suite_catches_it(mutant: Mutant) -> None:
    with mutant.switch():
        assert run_suite(mutant.operator) is not None


@pytest.mark.slow
def test_the_suite_passes_without_a_mutant() -> None:
    assert run_suite("") is None
