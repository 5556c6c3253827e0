"""Sizing on paper: memory a device and step time of a model on many devices.

work_of(config), a Machine and a Layout -> plan(...) -> SizingPlan: tables, JSON, pictures
"""

from tinygrad_tx.sizing.layout import Layout
from tinygrad_tx.sizing.machine import MACHINES, Machine, machine
from tinygrad_tx.sizing.plan import SizingPlan, plan, search, table_of
from tinygrad_tx.sizing.work import Work, work_of

__all__ = [
    "MACHINES",
    "Layout",
    "Machine",
    "SizingPlan",
    "Work",
    "machine",
    "plan",
    "search",
    "table_of",
    "work_of",
]
