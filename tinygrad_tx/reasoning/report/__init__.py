"""Reports: what was found in a model, on one offline page and as JSON."""

from tinygrad_tx.reasoning.report.report import Report, report

__all__ = ["Report", "report"]
