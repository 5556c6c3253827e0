"""What the shell offers for the values of options and arguments, after --install-completion."""

from __future__ import annotations

from collections.abc import Callable, Iterable

__all__ = ["LANGUAGES", "THEMES", "TOKENIZERS", "among", "listed"]

LANGUAGES, THEMES, TOKENIZERS = ("en", "zh"), ("light", "dark"), ("char", "byte", "bpe")


def among(names: Iterable[str]) -> Callable[[str], list[str]]:
    """Those of `names` that begin with what is typed. Files are offered by the shell itself."""
    return lambda incomplete: sorted(n for n in names if n.startswith(incomplete))


def listed(names: Iterable[str]) -> Callable[[str], list[str]]:
    """As `among`, for a list with commas: the last name of it."""

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{name}" for name in among(names)(last)]

    return complete
