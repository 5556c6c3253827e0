"""Every operator, by all that its row of samples can show: see tinygrad_tx.testing.rows."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_tx.autodiff import forward, reverse
from tinygrad_tx.capture import capturing
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Operator
from tinygrad_tx.graph.registry import operators
from tinygrad_tx.runtime.buffer import Buffer
from tinygrad_tx.testing import check_operator, checked_operators
from tinygrad_tx.testing.rows import structural


@pytest.mark.gradcheck
@pytest.mark.parametrize("op", checked_operators(), ids=lambda op: op.name)
def test_operator(op: Operator) -> None:
    """Forward, reverse, forward mode, second order, float32, NaN, layouts, kinks."""
    report = check_operator(op)
    assert report.samples > 0


def test_every_operator_has_a_row_or_is_structural() -> None:
    assert [op.name for op in operators() if op.row is None and not structural(op)] == []


def test_stop_gradient_is_a_constant_to_both_modes() -> None:
    b = Builder()
    x = Buffer.of(np.ones(3)).leaf
    y = b.stop_gradient(b.square(x))
    assert reverse([y], [x], [x]) == (None,)
    assert forward([y], [x], [x]) == (None,)


def test_a_capture_sees_nothing_of_another() -> None:
    buffer = Buffer.of(np.ones(3))
    with capturing() as first:
        one = first.leaf(buffer)
    with capturing() as second:
        two = second.leaf(buffer)
    assert one is not two
    assert one is not buffer.leaf
