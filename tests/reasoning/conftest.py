"""A model that learnt a planted skew, trained once for all tests here."""

from __future__ import annotations

import pytest

from tinygrad_tx.data import SkewedText, skewed_text
from tinygrad_tx.models import GPT
from tinygrad_tx.reasoning.audits.planted import QUICK, trained_on


@pytest.fixture(scope="session")
def skewed() -> tuple[SkewedText, GPT]:
    """The default text with a model of it. Nobody may change the model."""
    text = skewed_text()
    return text, trained_on(text, QUICK)
