"""How much the tests of a run try; the pytest plug-in sets it from the command line."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Profile", "profile"]


@dataclass
class Profile:
    """examples: for each test that does not say itself. seed: shifts all random directions."""

    examples: int = 30
    seed: int = 0


profile = Profile()
