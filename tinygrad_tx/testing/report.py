"""What a check found: counts for those who pass, the whole story for one that fails."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tinygrad_tx.errors import TinygradTxError

__all__ = [
    "CheckInputError",
    "Failure",
    "GradientError",
    "OutsideDomainError",
    "Report",
    "finished",
]

finished: list[Report] = []
"""Every report of this process, in order: what the pytest summary is made from."""


class CheckInputError(TinygradTxError, ValueError):
    """A function or inputs that cannot be checked, as opposed to a wrong gradient."""


class OutsideDomainError(CheckInputError):
    """Inputs where the function is not finite."""


@dataclass(frozen=True)
class Failure:
    """One disagreement. expected: what the truth says, got: what the rule says."""

    check: str
    expected: float
    got: float
    where: str = ""
    """The input and element that disagree most."""
    blame: str = ""
    """The operator whose rule is wrong, with the file and line of the rule."""
    repro: str = ""
    """A few lines that fail in the same way."""
    drawing: Any = None
    """The graph with the wrong node marked."""

    @property
    def ratio(self) -> float:
        return self.got / self.expected if self.expected else float("inf")


@dataclass
class Report:
    """What one check did. worst: the largest error, as a share of what was allowed."""

    name: str
    samples: int = 0
    kinks: int = 0
    discarded: int = 0
    worst: float = 0.0
    seconds: float = 0.0
    checks: dict[str, int] = field(default_factory=dict)
    """How often each kind of check was made."""

    def add(self, other: Report) -> None:
        """Joins what another report counted."""
        self.samples += other.samples
        self.kinks += other.kinks
        self.discarded += other.discarded
        self.worst = max(self.worst, other.worst)
        self.seconds += other.seconds
        for check, count in other.checks.items():
            self.count(check, count)

    def count(self, check: str, times: int = 1) -> None:
        self.checks[check] = self.checks.get(check, 0) + times

    def text(self) -> str:
        """One line."""
        return (
            f"{self.name}: {self.samples} samples, {self.kinks} at kinks, {self.discarded} "
            f"discarded, worst error {self.worst:.2g} of what is allowed, {self.seconds:.2f} s"
        )

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class GradientError(TinygradTxError, AssertionError):
    """A gradient that is wrong. `report` and `failure` tell the rest."""

    def __init__(self, report: Report, failure: Failure) -> None:
        self.report, self.failure = report, failure
        lines = [
            f"{report.name}: {failure.check}: expected {failure.expected:.10g}, got "
            f"{failure.got:.10g} (ratio {failure.ratio:.6g})"
        ]
        lines += [f"  {failure.where}"] if failure.where else []
        lines += [f"  to blame: {failure.blame}"] if failure.blame else []
        lines.append(
            f"  after {report.samples} samples, {report.kinks} at kinks, {report.discarded} "
            "discarded"
        )
        if failure.repro:
            lines += ["reproduce with:", "", failure.repro]
        super().__init__("\n".join(lines))

    def save(self, folder: Path | str) -> list[Path]:
        """Writes the reproduction and the marked graph; returns the files that were written."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        stem = "".join(c if c.isalnum() else "_" for c in self.report.name).strip("_") or "failure"
        written = []
        if self.failure.repro:
            written.append(folder / f"{stem}.py")
            written[-1].write_text(self.failure.repro)
        if self.failure.drawing is not None:
            written.append(folder / f"{stem}.svg")
            self.failure.drawing.save(written[-1])
        return written
